package apply_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// Objects are told apart by their group where two have a kind of one name, and are
// the same in another version of their API, or in the form of older installers.
func TestObjectsAreToldApartByGroup(t *testing.T) {
	t.Parallel()
	kubernetes := apply.Object{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy", Name: "x"}
	calico := apply.Object{APIVersion: "projectcalico.org/v3", Kind: "NetworkPolicy", Name: "x"}
	if kubernetes.Same(calico) || calico.Same(kubernetes) || !calico.Same(calico) {
		t.Error("NetworkPolicies of two groups are the same")
	}
	if got, want := kubernetes.String()+" "+calico.String(), "NetworkPolicy/x NetworkPolicy.projectcalico.org/x"; got != want {
		t.Errorf("they are called %s, want %s", got, want)
	}
	for _, older := range []string{
		`{"objects":[{"api_version":"extensions/v1beta1","kind":"Ingress","name":"e"},{"api_version":"policy/v1beta1","kind":"PodDisruptionBudget","name":"p"},{"api_version":"networking.k8s.io/v1","kind":"NetworkPolicy","name":"x"}]}`,
		`{"objects":{"extensions/v1beta1 Ingress":["e"],"policy/v1beta1 PodDisruptionBudget":["p"],"networking.k8s.io/v1 NetworkPolicy":["x"]}}`,
	} {
		var inventory apply.Inventory
		if err := json.Unmarshal([]byte(older), &inventory); err != nil {
			t.Fatal(err)
		}
		wanted := []apply.Object{
			{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Name: "e"}, {APIVersion: "policy/v1", Kind: "PodDisruptionBudget", Name: "p"}, calico,
		}
		if diff := cmp.Diff([]apply.Object{kubernetes}, apply.Missing(inventory.Objects, wanted)); diff != "" {
			t.Errorf("what goes (-want +got):\n%s", diff)
		}
		if all := apply.Union(inventory.Objects, wanted); len(all) != 4 || !slices.Contains(all, calico) || !slices.Contains(all, kubernetes) {
			t.Errorf("together: %v", all)
		}
		if names := inventory.Named("NetworkPolicy"); !slices.Equal(names, []string{"x"}) {
			t.Errorf("Named = %v", names)
		}
	}
	data, err := json.Marshal(apply.Inventory{Objects: []apply.Object{kubernetes, calico}})
	if err != nil {
		t.Fatal(err)
	}
	var read apply.Inventory
	if err := json.Unmarshal(data, &read); err != nil || len(read.Named("NetworkPolicy")) != 1 || len(read.Named("NetworkPolicy.projectcalico.org")) != 1 {
		t.Errorf("read again: %+v, %v", read.Objects, err)
	}
}
