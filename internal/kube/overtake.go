package kube

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// Two deploys of one launch may run at once, from two machines: the folder's
// lock does not reach that far. Each writes itself into the inventory before
// it changes anything; the later one goes on, and the earlier one sees it and
// stops. So nobody prunes what the other's routes need, and no deploy that was
// killed holds a lock.

// OvertakenError ends a rollout that another one has taken over from.
type OvertakenError struct {
	By      string // who: a process and since when; "" when it is done already
	Removed bool   // it removed the launch
}

// Error names the other one.
func (e *OvertakenError) Error() string {
	switch {
	case e.Removed:
		return "the launch was removed from the namespace while this deploy ran"
	case e.By == "":
		return "another deploy of this launch began while this one ran, and is done"
	}
	return "another deploy of this launch began while this one ran, and goes on in its place: " + e.By
}

const lookEvery = 2 * time.Second

// newRun names a rollout, for the operator of another one.
func newRun() string {
	host, _ := os.Hostname() //nolint:errcheck // only to say who
	return fmt.Sprintf("process %d on %s since %s (%s)", os.Getpid(), host, time.Now().UTC().Format("15:04:05 UTC"), rand.Text()[:8])
}

// begin writes into the inventory that this rollout runs, and what it is
// about to make. make gives the inventory from what is there, nil for none.
func (c *Cluster) begin(ctx context.Context, plan *bundle.Plan, run string, make func(old *Inventory) Inventory) (Inventory, error) {
	for {
		old, version, err := c.inventory(ctx)
		if err != nil {
			return Inventory{}, err
		}
		inventory := make(old)
		inventory.Run = run
		if err = c.replaceInventory(ctx, plan, inventory, version); !stale(err) || ctx.Err() != nil {
			return inventory, err
		}
	}
}

// end writes the inventory of a rollout that is done, unless another one has
// begun.
func (c *Cluster) end(ctx context.Context, plan *bundle.Plan, inventory Inventory) error {
	run := inventory.Run
	inventory.Run = ""
	for {
		version, err := c.mine(ctx, run)
		if err != nil {
			return err
		}
		if err = c.replaceInventory(ctx, plan, inventory, version); !stale(err) || ctx.Err() != nil {
			return err
		}
	}
}

// mine fails with an OvertakenError when the inventory is another rollout's;
// it gives the inventory's version.
func (c *Cluster) mine(ctx context.Context, run string) (version string, err error) {
	now, version, err := c.inventory(ctx)
	switch {
	case err != nil:
		return "", err
	case now == nil:
		return "", &OvertakenError{Removed: true}
	case now.Run != run:
		return "", &OvertakenError{By: now.Run}
	}
	return version, nil
}

// replaceInventory writes the inventory if it is still at version, "" for one
// that is not there.
func (c *Cluster) replaceInventory(ctx context.Context, plan *bundle.Plan, inventory Inventory, version string) error {
	object, err := inventoryObject(plan, c.Namespace, inventory)
	if err != nil {
		return err
	}
	if version == "" {
		if version, err = c.createInventory(ctx); err != nil {
			return err
		}
	}
	object.SetResourceVersion(version)
	_, err = c.apply(ctx, object, c.options())
	return err
}

// createInventory makes an inventory without content, which is as none: an
// apply takes what is there for its own, but of two creations one fails.
func (c *Cluster) createInventory(ctx context.Context) (version string, err error) {
	client, err := c.resource("v1", "ConfigMap")
	if err != nil {
		return "", err
	}
	bare := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": InventoryName, "namespace": c.Namespace},
	}}
	created, err := client.Create(ctx, bare, metav1.CreateOptions{FieldManager: FieldManager})
	if err != nil {
		return "", fmt.Errorf("create ConfigMap/%s: %w", InventoryName, err)
	}
	return created.GetResourceVersion(), nil
}

// stale says whether a write was refused because somebody wrote meanwhile.
func stale(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) && !apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// guard gives a context that ends when another rollout begins.
func (c *Cluster) guard(ctx context.Context, run string) (context.Context, func()) {
	guarded, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(c.LookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-guarded.Done():
				return
			case <-ticker.C:
			}
			var overtaken *OvertakenError
			if _, err := c.mine(guarded, run); errors.As(err, &overtaken) {
				cancel(overtaken)
			}
		}
	}()
	return guarded, func() { cancel(nil); <-ended }
}

// overtaken gives the reason of a context that guard ended, else err.
func overtaken(guarded context.Context, err error) error {
	var other *OvertakenError
	if err != nil && errors.As(context.Cause(guarded), &other) {
		return other
	}
	return err
}

// inventory reads the inventory with its version, "" when there is none.
func (c *Cluster) inventory(ctx context.Context) (*Inventory, string, error) {
	object, err := c.get(ctx, "v1", "ConfigMap", InventoryName)
	if err != nil || object == nil {
		return nil, "", err
	}
	inventory, err := readInventory(object)
	return inventory, object.GetResourceVersion(), err
}
