package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
)

// TestTheCatalogIsPaged by the setting where a client does not say, each repository
// once, and without those that a garbage collection has emptied.
func TestTheCatalogIsPaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 5 {
		repository := fmt.Sprintf("neo/algorithm-%d", i)
		w.mustPush(repository+":"+strings.Repeat(fmt.Sprint(i), 40), image(t, 100, nil))
		want = append(want, repository)
	}
	w.mustPush("neo/gone:latest", image(t, 100, nil))
	w.server.Config.Handler = registry.New(w.control, w.storage, registry.Options{CatalogPage: 2})
	if _, err := w.system.System(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append([]string{"constellation/system"}, append(want, "neo/gone")...), w.catalog("/v2/_catalog", 2)); diff != "" {
		t.Errorf("the catalog before anything was counted (-want +got):\n%s", diff)
	}
	w.collect(space.CollectOptions{})
	for first, page := range map[string]int{"/v2/_catalog": 2, "/v2/_catalog?n=3": 3, "/v2/_catalog?n=1000": 1000} {
		got := w.catalog(first, page)
		if diff := cmp.Diff(append([]string{"constellation/system"}, want...), got); diff != "" {
			t.Errorf("the catalog from %s (-want +got):\n%s", first, diff)
		}
	}
	w.wantAnswer(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "GET", "/v2/_catalog?n=1001", nil)
}

// catalog follows the links of pages of at most so many repositories.
func (w *world) catalog(next string, page int) (names []string) {
	w.t.Helper()
	for next != "" {
		r := httptest.NewRequestWithContext(w.t.Context(), "GET", next, nil)
		r.SetBasicAuth("Admin", w.admin)
		answer := httptest.NewRecorder()
		w.server.Config.Handler.ServeHTTP(answer, r)
		var body struct{ Repositories []string }
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || answer.Code != http.StatusOK || len(body.Repositories) > page {
			w.t.Fatalf("GET %s = %d %s", next, answer.Code, answer.Body)
		}
		names = append(names, body.Repositories...)
		next, _, _ = strings.Cut(strings.TrimPrefix(answer.Header().Get("Link"), "<"), ">")
	}
	return names
}
