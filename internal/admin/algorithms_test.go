package admin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestTagsThatAreNoVersionAreTold looks where somebody looks for a version
// that a push did not make.
func TestTagsThatAreNoVersionAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	w.satellite("One") // which has an algorithm
	for _, repository := range []string{"neo/alone", "neo/hello"} {
		if err := w.control.NotePushedTag(t.Context(), control.Shell(), repository, "nightly", "sha256:"+strings.Repeat("0", 64)); err != nil {
			t.Fatal(err)
		}
	}
	list := w.page("/algorithms", neo, http.StatusOK)
	wantIn(t, list, "Pushed, and not registered", "neo/alone:nightly")
	if strings.Contains(list, "neo/hello:nightly") {
		t.Error("the list tells of a tag of an algorithm that has a version")
	}
	wantIn(t, w.page("/algorithms/neo/hello", neo, http.StatusOK), "Other tags", "nightly", "Not registered")
}
