package apply

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// pruneOrder is first what leads to the others from outside, and last what running pods still use. A kind
// that it does not have is never deleted with the launch: what is on a volume
// is not the deploy's to decide on.
var pruneOrder = map[string]int{
	"Ingress": 0, render.MonitorKind: 0, render.PodMonitorKind: 0, "Deployment": 1, "StatefulSet": 1, "PodDisruptionBudget": 2, "Service": 3,
	"NetworkPolicy": 4, render.FQDNPolicyKind: 4, "ConfigMap": 5, "Secret": 6, "RoleBinding": 7, "Role": 8, "ServiceAccount": 9,
}

// Prune deletes objects that an inventory has and the launch no longer wants.
// An object that lost the launch's label is someone else's now, and stays; a
// namespace is in no inventory and in no order.
func (a *Applier) Prune(ctx context.Context, gone []Object) ([]Change, error) {
	gone = prunable(gone)
	sortForPrune(gone)
	return a.DeleteAll(ctx, gone)
}

// prunable returns the objects of kinds that are deleted with what they are of.
func prunable(objects []Object) []Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { _, ok := pruneOrder[o.Kind]; return !ok })
}

// DeleteAll deletes objects of the launch one after the other, and returns
// those that it deleted and those that are held.
func (a *Applier) DeleteAll(ctx context.Context, objects []Object) ([]Change, error) {
	var changes []Change
	var held []Object
	for _, o := range objects {
		change, err := a.delete(ctx, o)
		if err != nil {
			return changes, err
		}
		if change.Action == Deleted {
			changes = append(changes, change)
			a.Observer.Changed(change)
		}
		if len(change.Finalizers) > 0 {
			held = append(held, o)
		}
	}
	still, err := a.held(ctx, held)
	return append(changes, still...), err
}

// finalizerTimeout is how long controllers have to end what they made for an
// object, as one does for an Ingress with a load balancer.
const finalizerTimeout = 10 * time.Second

// finalizerPoll is how often it is looked whether they did.
const finalizerPoll = time.Second

// held waits for objects that were deleted and have finalizers, and returns
// those that are still there. Nobody but who set a finalizer knows when it may
// be taken away.
func (a *Applier) held(ctx context.Context, objects []Object) ([]Change, error) {
	ticker := time.NewTicker(finalizerPoll)
	defer ticker.Stop()
	for deadline := time.Now().Add(finalizerTimeout); ; {
		var still []Change
		for _, o := range objects {
			change, err := a.leaving(ctx, o)
			if err != nil {
				return nil, err
			}
			if change.Action == Held {
				still = append(still, change)
			}
		}
		if len(still) == 0 {
			return nil, nil
		}
		if !time.Now().Before(deadline) {
			for _, change := range still {
				a.Observer.Report("! %s is deleted and still there: the finalizer %s holds it, until whoever set it takes it away", change.Object, strings.Join(change.Finalizers, ", "))
			}
			return still, nil
		}
		select {
		case <-ctx.Done():
			return still, ctx.Err()
		case <-ticker.C:
		}
	}
}

// leaving returns what is to be done with an object that the launch no longer
// wants: nothing, when it is gone or somebody else's.
func (a *Applier) leaving(ctx context.Context, o Object) (Change, error) {
	change := Change{Object: o, Action: Unchanged}
	existing, err := a.Cluster.Get(ctx, o.APIVersion, o.Kind, o.Name)
	switch {
	case err != nil || existing == nil || existing.GetLabels()[render.LabelLaunch] != a.LaunchID:
		return change, err
	case existing.GetDeletionTimestamp() == nil:
		change.Action = Deleted
	case len(existing.GetFinalizers()) > 0:
		change.Action = Held
	}
	change.Finalizers, change.Live = existing.GetFinalizers(), existing
	return change, nil
}

// ComparePruned returns what Prune would do with objects, and does nothing.
func (a *Applier) ComparePruned(ctx context.Context, gone []Object) ([]Change, error) {
	gone = prunable(gone)
	changes := make([]Change, len(gone))
	for i, o := range gone {
		var err error
		if changes[i], err = a.leaving(ctx, o); err != nil {
			return nil, err
		}
	}
	return changes, nil
}

// HeldObjects returns the objects that changes leave behind.
func HeldObjects(changes []Change) []Object {
	var held []Object
	for _, change := range changes {
		if change.Action == Held {
			held = append(held, change.Object)
		}
	}
	return held
}

func sortForPrune(objects []Object) {
	sort.SliceStable(objects, func(i, j int) bool { return pruneOrder[objects[i].Kind] < pruneOrder[objects[j].Kind] })
}

// delete deletes an object, unless that is done already.
func (a *Applier) delete(ctx context.Context, o Object) (Change, error) {
	change, err := a.leaving(ctx, o)
	if err != nil || change.Action != Deleted {
		return change, err
	}
	client, err := a.Cluster.Resource(o.APIVersion, o.Kind)
	if err != nil {
		return change, err
	}
	uid, background := change.Live.GetUID(), metav1.DeletePropagationBackground
	err = client.Delete(ctx, o.Name, metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &uid},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return change, fmt.Errorf("delete %s: %w", o, err)
	}
	return change, nil
}
