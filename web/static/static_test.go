package static_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
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

// TestFromDisk: an asset that is saved is served under a new address at once,
// and every other one is the embedded one's.
func TestFromDisk(t *testing.T) { // not parallel: it is the whole program's
	embedded := static.URL("app.js")
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(static.FromDisk(dir))
	before := static.URL(static.Stylesheet)
	if got := static.URL("app.js"); got != embedded {
		t.Errorf("app.js from disk is at %s, want %s as embedded", got, embedded)
	}
	style, err := os.ReadFile(filepath.Join(dir, "base.css"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "base.css"), append(style, "/* saved now */"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	after := static.URL(static.Stylesheet)
	w := httptest.NewRecorder()
	static.Handler().ServeHTTP(w, httptest.NewRequest("GET", after, nil))
	if after == before || w.Code != 200 || !strings.Contains(w.Body.String(), "/* saved now */") {
		t.Errorf("the saved style sheet is at %s (before at %s): %d, want it under a new address", after, before, w.Code)
	}
}
