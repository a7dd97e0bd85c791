package kube

import (
	"context"
	"errors"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// Rollout is one deploy of a launch's objects.
type Rollout struct {
	Plan    *bundle.Plan                 // whose satellite, launch and version they are
	Objects []*unstructured.Unstructured // as Render gives them
	Wait    bool                         // until everything is ready
	Report  func(format string, args ...any)
	Phase   func(name string)     // what begins: apply, wait, switch or prune; may be nil
	Changed func(change Change)   // what was written or deleted; may be nil; called by several goroutines at once
	Looked  func(health []Health) // what a wait sees, at each look; may be nil
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

func (r Rollout) looked(health []Health) {
	if r.Looked != nil {
		r.Looked(health)
	}
}

// ErrPending is what a rollout that does not wait ends with when the new
// version cannot take over yet: it comes up beside the old one, which serves.
var ErrPending = errors.New("the new version is coming up beside the one that serves")

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
// are brought up beside it, and only when they are ready do the engines get
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
	inventory, gone := r.inventory(old, wanted)
	var quiet time.Time // from when on no other rollout writes
	if old == nil || old.Run != "" || len(Touched(changes)) > 0 || len(gone) > 0 || old.Wanted != inventory.Wanted {
		inventory, err = c.begin(ctx, r.Plan, newRun(), func(old *Inventory) Inventory {
			var begun Inventory
			if begun, gone = r.inventory(old, wanted); old != nil && old.Run != "" {
				begun.Config = "" // the one before may have ended in the middle of its switch
				quiet = time.Now().Add(2 * c.LookEvery)
			}
			return begun
		})
		if err != nil {
			return nil, err
		}
		guarded, stop := c.guard(ctx, inventory.Run)
		changes, err = c.carryOut(guarded, r, changes, &inventory, gone, quiet)
		stop() // what follows ends the run itself
		err = overtaken(guarded, err)
	} else {
		changes, err = c.carryOut(ctx, r, changes, &inventory, gone, quiet)
	}
	if err != nil {
		return changes, err
	}
	return changes, c.finish(ctx, r, inventory)
}

// inventory gives the inventory of a rollout that begins, and what has to go
// at its end.
func (r Rollout) inventory(old *Inventory, wanted []Object) (inventory Inventory, gone []Object) {
	inventory = Inventory{
		SatelliteID: r.Plan.Satellite.ID, LaunchID: r.Plan.Launch.ID,
		Wanted: r.Plan.Satellite.Version, Objects: union(nil, wanted),
	}
	if old != nil {
		inventory.Installed, inventory.Config, inventory.History = old.Installed, old.Config, old.History
		inventory.Objects = union(old.Objects, wanted)
		gone = missing(old.Objects, wanted)
	}
	return inventory, gone
}

// carryOut is a rollout that has begun; one with nothing to change has no run
// in its inventory. It prunes from quiet on.
func (c *Cluster) carryOut(ctx context.Context, r Rollout, changes []Change, inventory *Inventory, gone []Object, quiet time.Time) ([]Change, error) {
	s := &changeover{Cluster: c, Rollout: r, changes: changes, inventory: inventory, gone: len(gone) > 0}
	if err := s.run(ctx); err != nil {
		return changes, err
	}
	if len(gone) > 0 {
		select {
		case <-ctx.Done():
			return changes, context.Cause(ctx)
		case <-time.After(time.Until(quiet)):
		}
	}
	if err := s.undisturbed(ctx); err != nil {
		return changes, err
	}
	deleted, err := c.prune(ctx, r, gone)
	return append(changes, deleted...), err
}

// finish writes what is installed now.
func (c *Cluster) finish(ctx context.Context, r Rollout, inventory Inventory) error {
	inventory.Objects = union(nil, objectsOf(r.Objects))
	sure, err := c.installed(ctx, r)
	if sure && err == nil {
		inventory.Installed = r.Plan.Satellite.Version
		err = c.remember(ctx, r, &inventory)
	}
	return errors.Join(err, c.writeInventory(ctx, r.Plan, inventory))
}

// installed says whether all is ready, which a rollout that waits has seen.
func (c *Cluster) installed(ctx context.Context, r Rollout) (bool, error) {
	if r.Wait {
		return true, nil
	}
	health, err := c.Health(ctx, r.Plan.Launch.ID, running(r.Objects))
	return err == nil && len(notReady(health)) == 0, err
}

// writeInventory writes the inventory at a rollout's end, if it is another.
func (c *Cluster) writeInventory(ctx context.Context, plan *bundle.Plan, inventory Inventory) error {
	if inventory.Run != "" {
		return c.end(ctx, plan, inventory)
	}
	object, err := inventoryObject(plan, c.Namespace, inventory)
	if err != nil {
		return err
	}
	return c.put(ctx, object)
}

// put applies one object unless it is as it should be.
func (c *Cluster) put(ctx context.Context, object *unstructured.Unstructured) error {
	change, err := c.compare(ctx, object)
	if err != nil || change.Action == Unchanged {
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

// running names the objects that run pods.
func running(objects []*unstructured.Unstructured) []string {
	var names []string
	for _, o := range objects {
		if slices.Contains(podKinds, o.GetKind()) {
			names = append(names, o.GetName())
		}
	}
	return names
}

// podKinds are the kinds whose objects run pods.
var podKinds = []string{"Deployment"}
