package kube

import (
	"context"
	"fmt"
	"sort"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pruneOrder is the way in first, and last what running pods still use.
var pruneOrder = map[string]int{
	"Ingress": 0, "Deployment": 1, "PodDisruptionBudget": 2, "Service": 3,
	"NetworkPolicy": 4, "ConfigMap": 5, "Secret": 6, "RoleBinding": 7, "Role": 8, "ServiceAccount": 9,
}

// prune deletes objects that an inventory has and the launch no longer wants.
// An object that lost the launch's label is someone else's now, and stays; a
// namespace is in no inventory and in no order.
func (c *Cluster) prune(ctx context.Context, r Rollout, gone []Object) ([]Change, error) {
	if len(gone) > 0 {
		r.phase("prune")
	}
	sortForPrune(gone)
	var changes []Change
	for _, o := range gone {
		if _, ok := pruneOrder[o.Kind]; !ok {
			continue
		}
		deleted, err := c.delete(ctx, r.Plan.Launch.ID, o)
		if err != nil {
			return changes, err
		}
		if deleted {
			change := Change{Object: o, Action: Deleted}
			changes = append(changes, change)
			r.changed(change)
		}
	}
	return changes, nil
}

func sortForPrune(objects []Object) {
	sort.SliceStable(objects, func(i, j int) bool { return pruneOrder[objects[i].Kind] < pruneOrder[objects[j].Kind] })
}

func (c *Cluster) delete(ctx context.Context, launchID string, o Object) (bool, error) {
	existing, err := c.get(ctx, o.APIVersion, o.Kind, o.Name)
	if err != nil {
		return false, err
	}
	if existing == nil || existing.GetLabels()[LabelLaunch] != launchID || existing.GetDeletionTimestamp() != nil {
		return false, nil
	}
	client, err := c.resource(o.APIVersion, o.Kind)
	if err != nil {
		return false, err
	}
	uid, background := existing.GetUID(), metav1.DeletePropagationBackground
	err = client.Delete(ctx, o.Name, metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &uid},
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("delete %s: %w", o, err)
	}
	return true, nil
}
