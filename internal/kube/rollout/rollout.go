package rollout

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Rollout is one deploy of a launch's objects to a namespace.
type Rollout struct {
	Cluster  *cluster.Cluster
	Plan     *bundle.Plan                 // whose satellite, launch and version the objects are
	Objects  []*unstructured.Unstructured // as render.Launch returns them
	Wait     bool                         // until everything is ready
	Back     bool                         // it is a rollback
	Observer Observer

	// ForceConflicts takes fields back that others have set since.
	ForceConflicts bool
	// IgnoreConflicts lets a preview show what taking them back would change.
	IgnoreConflicts bool
	// OwnerPoll is how often it is looked whether another rollout began; 0 is
	// every two seconds. One that supersedes another prunes twice as long after
	// its begin: by then the other one has looked, and writes no more.
	OwnerPoll time.Duration
}

// Observer is notified of how a rollout goes on.
type Observer interface {
	// Report takes a line for the operator.
	Report(format string, args ...any)
	// Phase is called when a phase begins: apply, wait, switch, prune or remove.
	Phase(name string)
	// Changed is called for each object that was written or deleted, by several
	// goroutines at once.
	Changed(change apply.Change)
	// Observed is called with what a wait sees, at each look.
	Observed(deployments []health.Deployment)
}

// defaultOwnerPoll is what OwnerPoll is when nobody sets it.
const defaultOwnerPoll = 2 * time.Second

func (r Rollout) ownerPoll() time.Duration {
	if r.OwnerPoll == 0 {
		return defaultOwnerPoll
	}
	return r.OwnerPoll
}

// applier returns what writes the rollout's objects.
func (r Rollout) applier() *apply.Applier {
	return &apply.Applier{Cluster: r.Cluster, LaunchID: r.Plan.Launch.ID, Observer: r.Observer,
		ForceConflicts: r.ForceConflicts, IgnoreConflicts: r.IgnoreConflicts}
}

// ErrPending is what a rollout that does not wait ends with when the new
// version cannot take over yet: it comes up beside the old one, which serves.
var ErrPending = errors.New("the new version is coming up beside the one that serves")

// Preview returns what the rollout would do, and does nothing.
func (r Rollout) Preview(ctx context.Context) ([]apply.Change, error) {
	if err := r.startAtLoad(ctx); err != nil {
		return nil, err
	}
	changes, err := r.applier().Compare(ctx, r.Objects)
	if err != nil {
		return nil, err
	}
	old, err := apply.ReadInventory(ctx, r.Cluster)
	if err != nil || old == nil {
		return changes, err
	}
	apply.MarkVanished(changes, old)
	pruned, err := r.applier().ComparePruned(ctx, apply.Missing(old.Objects, apply.ObjectsOf(r.Objects)))
	if err != nil {
		return nil, err
	}
	return append(changes, pruned...), nil
}

// Run puts the launch on the cluster. Everything is tried without effect
// first. When a version is installed already, the algorithms of the new one
// are staged beside it, and only when they are ready do the engines get the new
// routes; what the launch no longer has goes when every engine uses them. So a
// deploy that fails leaves the old version serving. The inventory names every
// object before it is made, so nothing is forgotten.
func (r Rollout) Run(ctx context.Context) ([]apply.Change, error) {
	r.Observer.Phase("apply")
	if err := r.startAtLoad(ctx); err != nil {
		return nil, err
	}
	changes, err := r.applier().Compare(ctx, r.Objects)
	if err != nil {
		return nil, err
	}
	for i, change := range changes {
		if text := apply.DescribeScaling(change.Live, r.Objects[i]); text != "" {
			r.Observer.Report("%s", text)
		}
	}
	old, err := apply.ReadInventory(ctx, r.Cluster)
	if err != nil {
		return nil, err
	}
	wanted := apply.ObjectsOf(r.Objects)
	inventory, gone := apply.NextInventory(r.Plan, r.Back, old, wanted)
	var quiet time.Time // from when on no other rollout writes
	if old == nil || old.RolloutID != "" || len(apply.Touched(changes)) > 0 || len(gone) > 0 || old.Wanted != inventory.Wanted {
		inventory, err = r.begin(ctx, newRolloutID(), func(old *apply.Inventory) apply.Inventory {
			var begun apply.Inventory
			if begun, gone = apply.NextInventory(r.Plan, r.Back, old, wanted); old != nil && old.RolloutID != "" {
				begun.Config = "" // the one before may have ended in the middle of its cutover
				quiet = time.Now().Add(2 * r.ownerPoll())
			}
			return begun
		})
		if err != nil {
			return nil, err
		}
		owned, stop := r.watchOwner(ctx, inventory.RolloutID)
		changes, err = r.carryOut(owned, changes, &inventory, gone, quiet)
		stop() // what follows ends the rollout itself
		err = supersededBy(owned, err)
	} else {
		changes, err = r.carryOut(ctx, changes, &inventory, gone, quiet)
	}
	if err != nil {
		return changes, err
	}
	return changes, r.finish(ctx, inventory, apply.HeldObjects(changes))
}

// carryOut does the rollout when it has begun; one with nothing to change has
// no ID in its inventory. It prunes from quiet on.
func (r Rollout) carryOut(ctx context.Context, changes []apply.Change, inventory *apply.Inventory, gone []apply.Object, quiet time.Time) ([]apply.Change, error) {
	c := &cutover{rollout: r, applier: r.applier(), changes: changes, inventory: inventory, prunes: len(gone) > 0}
	if err := c.run(ctx); err != nil {
		return changes, err
	}
	if len(gone) > 0 {
		select {
		case <-ctx.Done():
			return changes, context.Cause(ctx)
		case <-time.After(time.Until(quiet)):
		}
	}
	if err := c.verifyOwner(ctx); err != nil {
		return changes, err
	}
	if len(gone) > 0 {
		r.Observer.Phase("prune")
	}
	deleted, err := r.applier().Prune(ctx, gone)
	return append(changes, deleted...), err
}

// finish writes what is installed now. What finalizers hold stays known.
func (r Rollout) finish(ctx context.Context, inventory apply.Inventory, held []apply.Object) error {
	inventory.Objects, inventory.Back = apply.Union(held, apply.ObjectsOf(r.Objects)), false
	sure, err := r.installed(ctx)
	if sure && err == nil {
		inventory.Installed = r.Plan.Satellite.Version
		err = r.applier().Remember(ctx, r.Plan, r.Objects, r.Back, &inventory)
	}
	if inventory.RolloutID != "" {
		return errors.Join(err, r.end(ctx, inventory))
	}
	return errors.Join(err, r.applier().PutInventory(ctx, r.Plan, inventory))
}

// installed reports whether all is ready, which a rollout that waits has seen.
func (r Rollout) installed(ctx context.Context) (bool, error) {
	if r.Wait {
		return true, nil
	}
	deployments, err := health.Deployments(ctx, r.Cluster, r.Plan.Launch.ID, render.Workloads(r.Objects))
	return err == nil && len(health.NotReady(deployments)) == 0, err
}

// EnsureNamespace creates the rollout's namespace when it is not there.
func (r Rollout) EnsureNamespace(ctx context.Context) error {
	return r.applier().EnsureNamespace(ctx)
}
