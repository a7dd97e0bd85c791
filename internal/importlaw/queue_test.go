package importlaw

import (
	"slices"
	"strings"
	"testing"
)

// TestOnlyTheQueueKnowsNATS holds the seam between what is stored and how.
func TestOnlyTheQueueKnowsNATS(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if under(path, []string{"internal/satellite/queue", "deploy/bench"}) {
			continue
		}
		if i := slices.IndexFunc(p.Imports, func(s string) bool { return strings.HasPrefix(s, "github.com/nats-io/") }); i >= 0 {
			t.Errorf("%s imports %s: only internal/satellite/queue knows NATS", path, p.Imports[i])
		}
	}
}
