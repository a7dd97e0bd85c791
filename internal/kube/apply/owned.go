package apply

import (
	"context"
	"slices"

	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/render"
)

// Owned returns the objects that a removal deletes, in its order: those of the
// inventory that still carry the launch's label, the history, and the
// inventory itself, which goes last so that a removal can be repeated.
func Owned(ctx context.Context, c *cluster.Cluster, inventory *Inventory) ([]Object, error) {
	all := prunable(inventory.Objects)
	if secrets := (Object{APIVersion: "v1", Kind: "Secret", Name: render.SecretsName}); !slices.ContainsFunc(all, secrets.Same) {
		all = append(all, secrets) // typed since the last deploy, or before the first
	}
	sortForPrune(all)
	for _, past := range inventory.History {
		all = append(all, HistoryObject(past.Version))
	}
	all = append(all, Object{APIVersion: "v1", Kind: "ConfigMap", Name: render.InventoryName})
	var owned []Object
	for _, o := range all {
		live, err := c.Get(ctx, o.APIVersion, o.Kind, o.Name)
		if err != nil {
			return nil, err
		}
		if live != nil && live.GetLabels()[render.LabelLaunch] == inventory.LaunchID {
			owned = append(owned, o)
		}
	}
	return owned, nil
}
