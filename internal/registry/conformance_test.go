package registry_test

import (
	"os/exec"
	"testing"
)

// TestConformance runs the OCI distribution-spec conformance suite; what is
// refused, and why, is in deploy/conformance/README.md.
func TestConformance(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs the OCI conformance suite: leave out -short")
	}
	onEveryStorage(t, func(t *testing.T, w *world) {
		run := exec.CommandContext(t.Context(), "../../deploy/conformance/run.sh", w.server.URL, "admin", w.admin) //nolint:gosec // a test's own arguments
		if w.redirect {                                                                                            // an object store knows no such header
			run.Env = append(run.Environ(), "OCI_API_BLOBS_DIGEST_HEADER=false")
		}
		out, err := run.CombinedOutput()
		if err != nil {
			t.Errorf("conformance: %v\n%s", err, out)
		}
		t.Logf("%s", out)
	})
}
