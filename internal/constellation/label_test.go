package constellation_test

import (
	"strings"
	"testing"

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
