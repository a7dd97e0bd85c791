package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// cutover takes callers from the version that serves to the next one. What they
// notice comes last: first what is new is staged beside what serves, then the
// engines, and then the routes and keys that the engines read.
type cutover struct {
	rollout   Rollout
	applier   *apply.Applier
	changes   []apply.Change
	inventory *apply.Inventory
	prunes    bool // something has to be pruned afterwards
}

// The steps of a cutover, in order.
const (
	stepStage  = iota // what the version that serves does not use, or does not mind
	stepEngine        // the engines' own pods
	stepSwitch        // what makes the new version serve
	steps
)

// stepOf returns the step in which an object is applied.
func stepOf(object *unstructured.Unstructured, live *unstructured.Unstructured) int {
	kind := object.GetKind()
	switch {
	case kind == "Ingress":
		return stepSwitch
	case object.GetLabels()["app.kubernetes.io/component"] != "engine":
		if live != nil && render.Replicas(live) > render.Replicas(render.WithReplicasOf(object, live)) {
			return stepSwitch // the version that serves keeps all its replicas
		}
		return stepStage
	case object.GetName() == config.KeptSecret: // whose content is the engines' own
		return stepStage
	case kind == "ConfigMap" || kind == "Secret":
		return stepSwitch
	case kind == "ServiceAccount" || kind == "Role" || kind == "RoleBinding":
		return stepStage
	}
	return stepEngine
}

// batch is a step's objects.
type batch struct {
	objects []*unstructured.Unstructured
	changes []apply.Change
}

func (c *cutover) batches() (batches [steps]batch) {
	for i, object := range c.rollout.Objects {
		b := &batches[stepOf(object, c.changes[i].Live)]
		b.objects, b.changes = append(b.objects, object), append(b.changes, c.changes[i])
	}
	return batches
}

func (c *cutover) write(ctx context.Context, b batch) error {
	if err := c.verifyOwner(ctx); err != nil {
		return err
	}
	return c.applier.ApplyChanged(ctx, b.objects, b.changes)
}

// run applies everything; when it returns nil, the version before may go.
func (c *cutover) run(ctx context.Context) error {
	batches := c.batches()
	if c.inventory.Installed == 0 {
		return c.first(ctx, batches)
	}
	if err := c.stage(ctx, batches); err != nil {
		return err
	}
	next := batches[stepSwitch]
	if len(apply.Touched(next.changes)) > 0 {
		c.rollout.Observer.Phase("switch")
	}
	if err := c.write(ctx, next); err != nil {
		return err
	}
	err := c.acknowledge(ctx)
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		return c.restore(ctx, next, err)
	}
	return err
}

// verifyOwner fails when another rollout has begun.
func (c *cutover) verifyOwner(ctx context.Context) error {
	if c.inventory.RolloutID == "" {
		return nil
	}
	return c.rollout.verifyOwner(ctx, c.inventory.RolloutID)
}

// first is a rollout with nothing to keep serving: all comes up at once, and
// the Ingress opens when all is ready.
func (c *cutover) first(ctx context.Context, batches [steps]batch) error {
	all, ingress := batch{}, batch{}
	for _, b := range batches {
		for i, object := range b.objects {
			to := &all
			if object.GetKind() == "Ingress" && c.rollout.Wait {
				to = &ingress
			}
			to.objects, to.changes = append(to.objects, object), append(to.changes, b.changes[i])
		}
	}
	if err := c.write(ctx, all); err != nil {
		return err
	}
	if c.rollout.Wait {
		if err := c.wait(ctx, render.Workloads(all.objects)); err != nil {
			return err
		}
	}
	if err := c.acknowledge(ctx); err != nil {
		return err
	}
	return c.write(ctx, ingress)
}

func (c *cutover) wait(ctx context.Context, names []string) error {
	c.rollout.Observer.Phase("wait")
	return health.Wait(ctx, c.rollout.Cluster, c.rollout.Plan.Launch.ID, names, c.rollout.Observer)
}

// stage brings up the new algorithms and then the engines, which go on with
// the routes that they have.
func (c *cutover) stage(ctx context.Context, batches [steps]batch) error {
	for _, step := range []int{stepStage, stepEngine} {
		b := batches[step]
		if step == stepEngine {
			if err := c.prepare(ctx, batches[stepSwitch]); err != nil {
				return err
			}
		}
		if err := c.write(ctx, b); err != nil {
			return c.keepsServing(err)
		}
		if !c.rollout.Wait && !c.switches(batches) {
			continue
		}
		if err := c.ready(ctx, render.Workloads(b.objects)); err != nil {
			return err
		}
	}
	return nil
}

// switches reports whether callers will notice this rollout.
func (c *cutover) switches(batches [steps]batch) bool {
	return c.prunes || len(apply.Touched(batches[stepSwitch].changes)) > 0 || c.inventory.Config != configOf(c.rollout.Objects).String()
}

// ready waits until what was applied is ready; a rollout that does not wait
// looks once.
func (c *cutover) ready(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if c.rollout.Wait {
		if err := c.wait(ctx, names); err != nil {
			return c.keepsServing(err)
		}
		return nil
	}
	deployments, err := health.Deployments(ctx, c.rollout.Cluster, c.rollout.Plan.Launch.ID, names)
	if err == nil && len(health.NotReady(deployments)) > 0 {
		return ErrPending
	}
	return err
}

func (c *cutover) keepsServing(err error) error {
	return fmt.Errorf("version %d keeps serving: %w", c.inventory.Installed, err)
}

// prepare adds to the engines' configuration the files that a newer engine
// mounts, and leaves those that there are as they are.
func (c *cutover) prepare(ctx context.Context, b batch) error {
	for i, object := range b.objects {
		live := b.changes[i].Live
		if live == nil || object.GetKind() == "Ingress" {
			continue
		}
		kept, more := keepData(live, object)
		if !more {
			continue
		}
		if err := c.applier.Apply(ctx, kept); err != nil {
			return c.keepsServing(err)
		}
	}
	return nil
}

// keepData returns the wanted object with the data of the live one and what
// that one does not have, and whether there is such.
func keepData(live, wanted *unstructured.Unstructured) (kept *unstructured.Unstructured, more bool) {
	data, _, _ := unstructured.NestedMap(wanted.Object, "data")
	old, _, _ := unstructured.NestedMap(live.Object, "data")
	for key := range data {
		_, there := old[key]
		more = more || !there
	}
	maps.Copy(data, old)
	kept = wanted.DeepCopy()
	kept.Object["data"] = data
	annotations := kept.GetAnnotations()
	delete(annotations, render.AnnotationDigest)
	kept.SetAnnotations(annotations)
	return kept, more
}

// acknowledge waits until every engine uses the new routes and keys, which the
// inventory then remembers.
func (c *cutover) acknowledge(ctx context.Context) error {
	want := configOf(c.rollout.Objects).String()
	if c.inventory.Config == want {
		return nil
	}
	if !c.rollout.Wait {
		probeOnce(ctx, c.rollout.Cluster, c.rollout.Plan.Launch.ID, c.rollout.Objects)
		if c.prunes {
			return ErrPending // the engines may still use what would be pruned
		}
		return nil
	}
	c.rollout.Observer.Phase("switch")
	sure, err := awaitReload(ctx, c.rollout)
	c.inventory.Config = ""
	if sure {
		c.inventory.Config = want
	}
	return err
}

// restore puts the routes and keys back that an engine refuses to exchange: it
// could not start again with the new ones.
func (c *cutover) restore(ctx context.Context, b batch, cause error) error {
	for i, object := range b.objects {
		if b.changes[i].Live == nil || b.changes[i].Action == apply.Unchanged || object.GetKind() == "Ingress" || render.RunsPods(object.GetKind()) {
			continue
		}
		kept, _ := keepData(b.changes[i].Live, object)
		if err := c.applier.Apply(ctx, kept); err != nil {
			return errors.Join(cause, fmt.Errorf("put the routes of version %d back: %w", c.inventory.Installed, err))
		}
	}
	return c.keepsServing(cause)
}
