package installer

import (
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/apply"
)

// A version that was rolled back can be gone to again, and whoever chooses one
// sees that it was left.
func TestStatusSaysWhatWasRolledBack(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		history []apply.PastVersion
		want    string
	}{
		{"none", []apply.PastVersion{{Version: 1}, {Version: 2}, {Version: 4}}, "rollback\tto 1, 2\n"},
		{"the last one", []apply.PastVersion{{Version: 1}, {Version: 3, RolledBack: true}, {Version: 4}}, "rollback\tto 1, 3 (was rolled back)\n"},
		{"come back to", []apply.PastVersion{{Version: 3, RolledBack: true}, {Version: 4, RolledBack: true}}, "rollback\tto 3 (was rolled back)\n"},
		{"the installed one alone", []apply.PastVersion{{Version: 4}}, ""},
	} {
		var out strings.Builder
		printStatus(&out, &install.StatusResult{Wanted: 4, Installed: 4, Downloaded: 4, Running: 4, Acknowledged: true, History: test.history})
		var got string
		for line := range strings.Lines(out.String()) {
			if strings.HasPrefix(line, "rollback") {
				got = line
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
