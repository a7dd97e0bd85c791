package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
)

// TestUnderAnotherRouter serves the API as cmd/mothership does, from a chi
// router of the same kind.
func TestUnderAnotherRouter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	satellite := w.satellite("s")
	inner := w.server.Config.Handler
	outer := chi.NewRouter()
	outer.Group(func(r chi.Router) {
		for _, pattern := range []string{"/v1", "/v1/*", "/openapi.json"} {
			r.Handle(pattern, inner)
		}
	})
	w.server = httptest.NewServer(outer)
	t.Cleanup(w.server.Close)

	if body := w.call(w.viewer, "GET", satellite+"/versions/1", "").want(t, http.StatusOK); body["number"] != 1.0 {
		t.Errorf("GET versions/1 = %v", body)
	}
	head := w.call(w.viewer, "HEAD", satellite, "")
	if head.StatusCode != http.StatusOK || len(head.body) != 0 || head.Header.Get("ETag") != `"1"` {
		t.Errorf("HEAD = %d %q, ETag %s", head.StatusCode, head.body, head.Header.Get("ETag"))
	}
	if got := w.call(w.admin, "PUT", satellite, `{}`); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD, PATCH, DELETE" {
		t.Errorf("PUT = %d, Allow %q", got.StatusCode, got.Header.Get("Allow"))
	}
	w.call(w.admin, "GET", "/v1", "").refused(t, http.StatusNotFound, 1000, "", "/docs/api")
	w.call(w.admin, "GET", "/v1/nothing", "").refused(t, http.StatusNotFound, 1000, "", "/docs/api")
	w.call("", "GET", "/openapi.json", "").want(t, http.StatusOK)
	w.call(w.admin, "GET", "/v1/satellites/a%2Fb/launches/c%2Fd", "").refused(t, http.StatusNotFound, 1000, "", `"a/b"`)
}
