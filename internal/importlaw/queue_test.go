package importlaw

import (
	"slices"
	"strings"
	"testing"
)

// natsFrom says which packages know NATS: its client, and its server, which is
// more than one wants to link by accident.
var natsFrom = []struct {
	root string
	from []string
}{
	{"github.com/nats-io/nats-server/", []string{"internal/satellite/queue/node"}},
	{"github.com/nats-io/", []string{"internal/satellite/queue", "internal/satellite/queue/node"}},
}

// TestOnlyTheQueueKnowsNATS holds the seam between what is stored and how. What
// stands below the queue and is not named has no part in it.
func TestOnlyTheQueueKnowsNATS(t *testing.T) {
	for _, p := range list(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, rule := range natsFrom {
			if slices.Contains(rule.from, path) || under(path, []string{"deploy/bench"}) {
				continue
			}
			if i := slices.IndexFunc(p.Imports, func(s string) bool { return strings.HasPrefix(s, rule.root) }); i >= 0 {
				t.Errorf("%s imports %s: only %v know it", path, p.Imports[i], rule.from)
			}
		}
	}
}
