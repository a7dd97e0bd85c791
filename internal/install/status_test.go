package install_test

import (
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

// What is newer than what runs is told with the exit code of changes that wait.
func TestStatusIsBehind(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]install.StatusResult{
		"not deployed yet":                                    {Downloaded: 1},
		"the deploy of version 3 is not done":                 {Downloaded: 3, Wanted: 3, Installed: 2},
		"version 3 is downloaded, and version 2 is installed": {Downloaded: 3, Wanted: 2, Installed: 2},
		"the mothership has version 4":                        {Downloaded: 3, Wanted: 3, Installed: 3, Mothership: 4},
	} {
		wantCode(t, s.Behind(), fault.CodePending, want)
	}
	newest := install.StatusResult{Downloaded: 3, Wanted: 3, Installed: 3, Mothership: 3}
	if err := newest.Behind(); err != nil {
		t.Errorf("Behind = %v, want nothing", err)
	}
}

// How long ago a heartbeat was taken is known where engines noted it, by clocks that
// differ a little too.
func TestHeartbeatAge(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for accepted, want := range map[string]time.Duration{"2026-01-02T03:03:55Z": 10 * time.Second, "2026-01-02T03:04:07Z": 0, "": -1, "yesterday": -1} {
		age, known := health.Heartbeat{Accepted: accepted}.Age(now)
		if known != (want >= 0) || known && age != want {
			t.Errorf("Age of %q = %s, %v; want %s", accepted, age, known, want)
		}
	}
}
