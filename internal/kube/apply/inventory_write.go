package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// ReadInventoryVersion reads the inventory with its version, "" when there is none.
func ReadInventoryVersion(ctx context.Context, c *cluster.Cluster) (*Inventory, string, error) {
	object, err := c.Get(ctx, "v1", "ConfigMap", render.InventoryName)
	if err != nil || object == nil {
		return nil, "", err
	}
	inventory, err := decodeInventory(object)
	return inventory, object.GetResourceVersion(), err
}

// NextInventory returns the inventory of a rollout that begins, and what has to
// go at its end.
func NextInventory(plan *bundle.Plan, back bool, old *Inventory, wanted []Object) (next Inventory, gone []Object) {
	next = Inventory{
		SatelliteID: plan.Satellite.ID, LaunchID: plan.Launch.ID,
		Wanted: plan.Satellite.Version, Back: back, Objects: Union(nil, wanted),
	}
	if old != nil {
		next.Installed, next.Config, next.History = old.Installed, old.Config, old.History
		next.Objects = Union(old.Objects, wanted)
		gone = Missing(old.Objects, wanted)
	}
	return next, gone
}

// PutInventory writes the inventory unless it is there already.
func (a *Applier) PutInventory(ctx context.Context, plan *bundle.Plan, inventory Inventory) error {
	object, err := InventoryObject(plan, a.Cluster.Namespace, inventory)
	if err != nil {
		return err
	}
	return a.put(ctx, object)
}

// Equal reports whether both are written alike.
func (i Inventory) Equal(other Inventory) bool {
	a, errA := json.Marshal(i)
	b, errB := json.Marshal(other)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// ReplaceInventory writes the inventory if it is still at version, "" for one
// that is not there.
func (a *Applier) ReplaceInventory(ctx context.Context, plan *bundle.Plan, inventory Inventory, version string) error {
	object, err := InventoryObject(plan, a.Cluster.Namespace, inventory)
	if err != nil {
		return err
	}
	if version == "" {
		if version, err = a.createInventory(ctx); err != nil {
			return err
		}
	}
	object.SetResourceVersion(version)
	return a.Apply(ctx, object)
}

// createInventory makes an inventory without content, which is as none: an
// apply takes what is there for its own, but of two creations one fails.
func (a *Applier) createInventory(ctx context.Context) (version string, err error) {
	client, err := a.Cluster.Resource("v1", "ConfigMap")
	if err != nil {
		return "", err
	}
	empty := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": render.InventoryName, "namespace": a.Cluster.Namespace},
	}}
	created, err := client.Create(ctx, empty, metav1.CreateOptions{FieldManager: render.FieldManager})
	if err != nil {
		return "", fmt.Errorf("create ConfigMap/%s: %w", render.InventoryName, err)
	}
	return created.GetResourceVersion(), nil
}

// IsStale reports whether a write was refused because somebody wrote meanwhile.
func IsStale(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}
