package preflight_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/kube/launchtest"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// What does not fit is found by the preflight, and told with what to do.
func TestPreflightMeasures(t *testing.T) {
	launchtest.EachServer(t, func(t *testing.T, s *launchtest.Space) {
		in := launchtest.Largest(500, 1000)
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "size"); got != "" {
			t.Errorf("the largest satellite: %s", got)
		}
		in = launchtest.Largest(5, 0)
		for i := range 6000 {
			in.Plan.Keys = append(in.Plan.Keys, bundle.Key{ID: fmt.Sprint(i), Name: strings.Repeat("k", 100), SHA256: config.HashKey(fmt.Sprint(i))})
		}
		in.Settings.Ingress.Annotations = map[string]string{"example.com/snippet": strings.Repeat("x", 300<<10)}
		got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "size")
		if want := "Secret/execution-engine would hold 1."; !strings.Contains(got, want) || !strings.Contains(got, "revoke keys") {
			t.Errorf("6000 keys: %q, want %q and what to do", got, want)
		}
		in.Plan.Keys = nil
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "size"); !strings.Contains(got, "Ingress/execution-engine would have 301 KiB of annotations") {
			t.Errorf("annotations of 300 KiB: %q", got)
		}
		in.Settings.Ingress.Annotations, in.Settings.MothershipCA = nil, strings.Repeat("x", 1<<20)
		if got := launchtest.ProblemOf(launchtest.Preflight(t, s.Cluster, in), "size"); !strings.Contains(got, "ConfigMap/execution-engine") || !strings.Contains(got, "stage.mothership.ca_file") {
			t.Errorf("a CA file of a mebibyte: %q", got)
		}
	})
}
