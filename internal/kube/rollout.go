package kube

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// Rollout is one deploy of a launch's objects.
type Rollout struct {
	Plan    *bundle.Plan
	Objects []*unstructured.Unstructured // as Render gives them
	Wait    bool                         // until everything is ready
	Report  func(format string, args ...any)
	Phase   func(name string)   // what begins: apply, wait or prune; may be nil
	Changed func(change Change) // what was written or deleted; may be nil
}

func (r Rollout) phase(name string) {
	if r.Phase != nil {
		r.Phase(name)
	}
}

func (r Rollout) changed(change Change) {
	if r.Changed != nil {
		r.Changed(change)
	}
}

// Preview says what a rollout would do, and does nothing.
func (c *Cluster) Preview(ctx context.Context, r Rollout) ([]Change, error) {
	changes, err := c.Compare(ctx, r.Objects)
	if err != nil {
		return nil, err
	}
	old, err := c.Inventory(ctx)
	if err != nil || old == nil {
		return changes, err
	}
	for _, o := range missing(old.Objects, objectsOf(r.Objects)) {
		changes = append(changes, Change{Object: o, Action: Deleted})
	}
	return changes, nil
}

// Rollout puts the launch on the cluster. Everything is tried without effect
// first. When a version is installed already, the algorithms of the new one
// are brought up beside it, and only when they are ready does the engine get
// the new routes; what the launch no longer has goes when every engine uses
// them. So a deploy that fails leaves the old version serving. The inventory
// names every object before it is made, so nothing is forgotten.
func (c *Cluster) Rollout(ctx context.Context, r Rollout) ([]Change, error) {
	r.phase("apply")
	changes, err := c.Compare(ctx, r.Objects)
	if err != nil {
		return nil, err
	}
	old, err := c.Inventory(ctx)
	if err != nil {
		return nil, err
	}
	wanted := objectsOf(r.Objects)
	inventory := Inventory{
		SatelliteID: r.Plan.Satellite.ID, LaunchID: r.Plan.Launch.ID,
		Wanted: r.Plan.Satellite.Version, Objects: union(nil, wanted),
	}
	var gone []Object
	if old != nil {
		inventory.Installed, inventory.Config, inventory.Objects = old.Installed, old.Config, union(old.Objects, wanted)
		gone = missing(old.Objects, wanted)
	}
	if old == nil || len(Touched(changes)) > 0 || len(gone) > 0 || old.Wanted != inventory.Wanted {
		if err := c.writeInventory(ctx, r.Plan, inventory); err != nil {
			return nil, err
		}
	}
	if err := c.swap(ctx, r, changes, inventory.Installed > 0); err != nil {
		return changes, err
	}
	if err := c.bringUp(ctx, r, &inventory); err != nil {
		return changes, err
	}
	deleted, err := c.prune(ctx, r, gone)
	changes = append(changes, deleted...)
	if err != nil {
		return changes, err
	}
	inventory.Installed, inventory.Objects = r.Plan.Satellite.Version, union(nil, wanted)
	return changes, c.writeInventory(ctx, r.Plan, inventory)
}

// swap applies the algorithms, waits for them when another version serves,
// and then applies the engine.
func (c *Cluster) swap(ctx context.Context, r Rollout, changes []Change, serving bool) error {
	var objects [2][]*unstructured.Unstructured
	var found [2][]Change
	for i, object := range r.Objects {
		n := 0
		if object.GetLabels()["app.kubernetes.io/component"] == "engine" {
			n = 1
		}
		objects[n], found[n] = append(objects[n], object), append(found[n], changes[i])
	}
	if !serving || !r.Wait {
		return c.write(ctx, r, r.Objects, changes)
	}
	if err := c.write(ctx, r, objects[0], found[0]); err != nil {
		return err
	}
	if len(Touched(found[1])) == 0 {
		return nil
	}
	r.phase("wait") // even when an earlier deploy wrote the algorithms
	if err := c.wait(ctx, r, deployments(objects[0])); err != nil {
		return fmt.Errorf("the version that was installed keeps serving: %w", err)
	}
	r.phase("apply")
	return c.write(ctx, r, objects[1], found[1])
}

// bringUp waits until all is ready and every engine uses the new routes and
// keys, which the inventory then remembers.
func (c *Cluster) bringUp(ctx context.Context, r Rollout, inventory *Inventory) error {
	want := configOf(r.Objects).String()
	if !r.Wait {
		if inventory.Config != want {
			c.ask(ctx, r)
		}
		return nil
	}
	r.phase("wait")
	if err := c.wait(ctx, r, deployments(r.Objects)); err != nil {
		return err
	}
	if inventory.Config == want {
		return nil
	}
	sure, err := c.adopt(ctx, r)
	inventory.Config = ""
	if sure {
		inventory.Config = want
	}
	return err
}

func (c *Cluster) writeInventory(ctx context.Context, plan *bundle.Plan, inventory Inventory) error {
	object, err := inventoryObject(plan, c.Namespace, inventory)
	if err != nil {
		return err
	}
	action, err := c.compare(ctx, object)
	if err != nil || action == Unchanged {
		return err
	}
	_, err = c.apply(ctx, object, c.options())
	return err
}

func objectsOf(objects []*unstructured.Unstructured) []Object {
	list := make([]Object, len(objects))
	for i, o := range objects {
		list[i] = objectOf(o)
	}
	return list
}

func deployments(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, o := range objects {
		if o.GetKind() == "Deployment" {
			names = append(names, o.GetName())
		}
	}
	return names
}
