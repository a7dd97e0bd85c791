package rollout

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// Two deploys of one launch may run at once, from two machines: the folder's
// lock does not reach that far. Each writes its ID into the inventory before
// it changes anything; the later one goes on, and the earlier one sees it and
// stops. So nobody prunes what the other's routes need, and no deploy that was
// killed holds a lock.

// SupersededError ends a rollout that another one has taken over from.
type SupersededError struct {
	By      string // who: a process and since when; "" when it is done already
	Removed bool   // it removed the launch
}

// Error names the other one.
func (e *SupersededError) Error() string {
	switch {
	case e.Removed:
		return "the launch was removed from the namespace while this deploy ran"
	case e.By == "":
		return "another deploy of this launch began while this one ran, and is done"
	}
	return "another deploy of this launch began while this one ran, and goes on in its place: " + e.By
}

// newRolloutID names a rollout, for the operator of another one.
func newRolloutID() string {
	host, _ := os.Hostname() //nolint:errcheck // only to say who
	return fmt.Sprintf("process %d on %s since %s (%s)", os.Getpid(), host, time.Now().UTC().Format("15:04:05 UTC"), rand.Text()[:8])
}

// begin writes into the inventory that this rollout runs, and what it is about
// to make. next returns the inventory from what is there, nil for none.
func (r Rollout) begin(ctx context.Context, id string, next func(old *apply.Inventory) apply.Inventory) (apply.Inventory, error) {
	var inventory apply.Inventory
	for {
		old, version, err := apply.ReadInventoryVersion(ctx, r.Cluster)
		switch {
		case err != nil:
			return apply.Inventory{}, err
		case old != nil && old.RolloutID == id:
			return inventory, nil // it was written, and the answer did not come through
		}
		inventory = next(old)
		inventory.RolloutID = id
		if err = r.applier().ReplaceInventory(ctx, r.Plan, inventory, version); !apply.IsStale(err) || ctx.Err() != nil {
			return inventory, err
		}
	}
}

// end writes the inventory of a rollout that is done, unless another one has
// begun.
func (r Rollout) end(ctx context.Context, inventory apply.Inventory) error {
	id := inventory.RolloutID
	inventory.RolloutID = ""
	for written := false; ; written = true {
		now, version, err := apply.ReadInventoryVersion(ctx, r.Cluster)
		if err != nil {
			return err
		}
		if written && now != nil && now.Equal(inventory) {
			return nil // the answer did not come through
		}
		if err := checkOwner(now, id); err != nil {
			return err
		}
		if err = r.applier().ReplaceInventory(ctx, r.Plan, inventory, version); !apply.IsStale(err) || ctx.Err() != nil {
			return err
		}
	}
}

// verifyOwner fails with a SupersededError when the inventory is another
// rollout's.
func (r Rollout) verifyOwner(ctx context.Context, id string) error {
	now, err := apply.ReadInventory(ctx, r.Cluster)
	if err != nil {
		return err
	}
	return checkOwner(now, id)
}

// checkOwner fails with a SupersededError when an inventory is not that of the
// rollout.
func checkOwner(inventory *apply.Inventory, id string) error {
	switch {
	case inventory == nil:
		return &SupersededError{Removed: true}
	case inventory.RolloutID != id:
		return &SupersededError{By: inventory.RolloutID}
	}
	return nil
}

// watchOwner returns a context that ends when another rollout begins, and what
// ends the watch.
func (r Rollout) watchOwner(ctx context.Context, id string) (owned context.Context, stop func()) {
	owned, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(r.ownerPoll())
		defer ticker.Stop()
		for {
			select {
			case <-owned.Done():
				return
			case <-ticker.C:
			}
			var superseded *SupersededError
			if errors.As(r.verifyOwner(owned, id), &superseded) {
				cancel(superseded)
			}
		}
	}()
	return owned, func() { cancel(nil); <-ended }
}

// supersededBy returns the reason of a context that watchOwner ended, else err.
func supersededBy(owned context.Context, err error) error {
	var superseded *SupersededError
	if err != nil && errors.As(context.Cause(owned), &superseded) {
		return superseded
	}
	return err
}
