package constellation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
)

func TestMistypedLabels(t *testing.T) {
	t.Parallel()
	for label, meant := range map[string]string{
		"constellation.protcol":                     "constellation.protocol",
		"constellation.Port":                        "constellation.port",
		"Constellation.port":                        "constellation.port",
		"constelation.concurrency":                  "constellation.concurrency",
		"constellation_health_path":                 "constellation.health-path",
		"constellation/memory":                      "constellation.memory",
		"io.constellation.port":                     "constellation.port",
		"constellation.read_only_root":              "constellation.read-only-root",
		"constellation." + strings.Repeat("x", 300): "constellation.",
	} {
		_, err := constellation.RuntimeFromLabels(map[string]string{label: "1"})
		if err == nil || !strings.Contains(err.Error(), "did you mean "+meant) || len(err.Error()) > 400 {
			t.Errorf("label %s = %v, want it to name %s", label, err, meant)
		}
	}
	for _, label := range []string{"maintainer", "org.opencontainers.image.version", "com.example.port", "consolidation.port", ""} {
		if _, err := constellation.RuntimeFromLabels(map[string]string{label: "1"}); err != nil {
			t.Errorf("label %s of somebody else = %v", label, err)
		}
	}
}

// TestSettingsAreLabels reads every setting back as the label that it is shown as.
func TestSettingsAreLabels(t *testing.T) {
	t.Parallel()
	want := constellation.Runtime{
		Protocol: constellation.ProtocolHTTP, Port: 8081, Path: "/v2", Concurrency: 3, HealthPath: "/health", Network: "isolated", CPU: "500m", Memory: "2Gi", GPU: 1, ReadOnlyRoot: true,
		HTTPSettings: constellation.HTTPSettings{Response: constellation.ResponseNative, HTTP2: true, MaxBody: "100Mi", IdleTimeout: "90s"},
	}
	labels := map[string]string{}
	for _, s := range want.Settings() {
		labels[s.Label] = s.Value
	}
	got, err := constellation.RuntimeFromLabels(labels)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings read as labels (-want +got):\n%s", diff)
	}
	less := want
	less.GPU, less.Memory = 0, "4Gi"
	changes := []constellation.SettingChange{{What: "constellation.memory", Was: "2Gi", Now: "4Gi"}, {What: "constellation.gpu", Was: "1"}}
	if diff := cmp.Diff(changes, constellation.DiffRuntimes(want, less)); diff != "" {
		t.Errorf("DiffRuntimes (-want +got):\n%s", diff)
	}
}
