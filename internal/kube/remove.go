package kube

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Owned gives the objects that a removal deletes, in its order: those of the
// inventory that still carry the launch's label, the history, and the
// inventory itself, which goes last so that a removal can be repeated.
func (c *Cluster) Owned(ctx context.Context, inventory *Inventory) ([]Object, error) {
	all := append([]Object{}, inventory.Objects...)
	sortForPrune(all)
	for _, past := range inventory.History {
		all = append(all, historyEntry(past.Version))
	}
	all = append(all, Object{APIVersion: "v1", Kind: "ConfigMap", Name: InventoryName})
	var owned []Object
	for _, o := range all {
		live, err := c.get(ctx, o.APIVersion, o.Kind, o.Name)
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetLabels()[LabelLaunch] == inventory.LaunchID {
			owned = append(owned, o)
		}
	}
	return owned, nil
}

// Remove deletes objects of a launch in the given order and, with r.Wait, ends
// when its pods are gone. It never deletes a namespace.
func (c *Cluster) Remove(ctx context.Context, r Rollout, objects []Object) error {
	r.phase("remove")
	for _, o := range objects {
		deleted, err := c.delete(ctx, r.Plan.Launch.ID, o)
		if err != nil {
			return err
		}
		if deleted {
			r.changed(Change{Object: o, Action: Deleted})
		}
	}
	if !r.Wait {
		return nil
	}
	return c.waitGone(ctx, r)
}

// waitGone waits for the launch's pods, which may have calls to finish.
func (c *Cluster) waitGone(ctx context.Context, r Rollout) error {
	r.phase("wait")
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	said := -1
	for {
		pods, err := c.typed.CoreV1().Pods(c.Namespace).List(ctx, metav1.ListOptions{LabelSelector: LabelLaunch + "=" + r.Plan.Launch.ID})
		if err != nil {
			return fmt.Errorf("list the satellite's pods: %w", err)
		}
		if n := len(pods.Items); n == 0 {
			return nil
		} else if n != said {
			said = n
			r.Report("%d pods finish their calls and end", n)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d pods still end: %w", said, ctx.Err())
		case <-ticker.C:
		}
	}
}
