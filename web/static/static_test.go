package static_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/web/static"
)

func TestAssets(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]string{"app.css": "text/css", "favicon.svg": "image/svg+xml", "app.js": "text/javascript", "htmx.min.js": "text/javascript"} {
		w := httptest.NewRecorder()
		static.Handler().ServeHTTP(w, httptest.NewRequest("GET", static.URL(name), nil))
		if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", static.URL(name), w.Code, w.Header())
		}
	}
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/static/app.css", nil))
	if w.Code != 404 {
		t.Errorf("an address without a hash: %d, want 404", w.Code)
	}
}
