package apply

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/constellation-serving/constellation/internal/kube/render"
)

// drift returns who set fields of ours since we did: the managers that would
// lose some to the apply that result is of.
func drift(live, result *unstructured.Unstructured) []string {
	var managers []string
	for _, before := range live.GetManagedFields() {
		if before.Manager == render.FieldManager || before.FieldsV1 == nil || before.Subresource == "status" {
			continue
		}
		same := func(after metav1.ManagedFieldsEntry) bool {
			return after.Manager == before.Manager && after.Operation == before.Operation && after.Subresource == before.Subresource &&
				after.FieldsV1 != nil && after.FieldsV1.GetRawString() == before.FieldsV1.GetRawString()
		}
		if !slices.ContainsFunc(result.GetManagedFields(), same) && !slices.Contains(managers, before.Manager) {
			managers = append(managers, before.Manager)
		}
	}
	if ownerless(live) && !ownerless(result) {
		managers = append(managers, "somebody")
	}
	return managers
}

// MarkVanished marks objects that are to be created although the inventory of a
// deploy that is done has them.
func MarkVanished(changes []Change, old *Inventory) {
	if old == nil || old.RolloutID != "" || old.Installed == 0 {
		return
	}
	for i, c := range changes {
		if c.Action == Created && slices.ContainsFunc(old.Objects, c.Object.Same) {
			changes[i].Drift = []string{"somebody"}
		}
	}
}
