package rollout_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/apply"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/kube/rollout"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// A revoked key leaves the engines' Secret by itself, and nothing else changes.
func TestRevoke(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		in.Plan.Keys = append(in.Plan.Keys, bundle.Key{ID: "k2", Name: "leaked", SHA256: strings.Repeat("1", 64)})
		s.MustDeploy(t, in)
		names := func() (names []string) {
			secret, err := s.Admin.CoreV1().Secrets(s.Namespace).Get(t.Context(), render.EngineName, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			keys, err := config.ParseKeys(secret.Data[config.KeysFile])
			if err != nil || string(secret.Data[config.TokenFile]) != "cst_token" || secret.Labels[render.LabelLaunch] != in.Plan.Launch.ID {
				t.Fatalf("the engines' Secret: %v, %v", secret, err)
			}
			for _, k := range keys.Keys {
				names = append(names, k.ID)
			}
			return names
		}
		next, other := launchtest.Input(), launchtest.Input()
		next.Plan.Keys = append(next.Plan.Keys, bundle.Key{ID: "k3", Name: "new", SHA256: strings.Repeat("2", 64)})
		other.Plan.Launch.ID = "11111111-2222-4333-8444-555555555555"
		for _, test := range []struct {
			name          string
			plan          *bundle.Plan
			revoked, left []string
		}{
			{"of another launch", other.Plan, nil, []string{"k1", "k2", "internal"}},
			{"of this launch", next.Plan, []string{"leaked"}, []string{"k1", "internal"}},
			{"again", next.Plan, nil, []string{"k1", "internal"}},
		} {
			before := resourceVersions(t, s)
			revoked, err := rollout.Revoke(t.Context(), s.Cluster, test.plan)
			if err != nil || !slices.Equal(revoked, test.revoked) {
				t.Errorf("%s: Revoke = %q, %v; want %q", test.name, revoked, err, test.revoked)
			}
			if got := names(); !slices.Equal(got, test.left) {
				t.Errorf("%s: keys %q are left, want %q", test.name, got, test.left)
			}
			if after := resourceVersions(t, s); len(test.revoked) == 0 && after != before {
				t.Errorf("%s: %s, then %s; want nothing written", test.name, before, after)
			}
		}
		if actions := s.MustDeploy(t, next); actions["Secret/execution-engine"] != apply.Changed || actions["ConfigMap/execution-engine"] != apply.Unchanged {
			t.Errorf("the deploy after it: %v", actions)
		}
		if got := names(); !slices.Equal(got, []string{"k1", "k3", "internal"}) {
			t.Errorf("keys %q after the deploy", got)
		}
	})
}

// An inventory of an older installer is read on.
func TestInventoryReadsTheOldForm(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Input()
		s.MustDeploy(t, in)
		want, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		old, err := json.Marshal(map[string]any{
			"satellite_id": want.SatelliteID, "launch_id": want.LaunchID, "wanted_version": 1, "installed_version": 1,
			"config": want.Config, "history": want.History, "objects": slices.Clone(([]apply.Object)(want.Objects)),
		})
		if err != nil {
			t.Fatal(err)
		}
		patch, err := json.Marshal(map[string]any{"data": map[string]string{"inventory.json": string(old)}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Admin.CoreV1().ConfigMaps(s.Namespace).Patch(t.Context(), render.InventoryName, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		got, err := apply.ReadInventory(t.Context(), s.Cluster)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Inventory (-want +got):\n%s", diff)
		}
	})
}
