package httpserve

import (
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Gate answers while the server starts: alive, not ready, and everything else
// to be tried again. Open hands over to the real handler.
type Gate struct {
	handler atomic.Pointer[http.Handler]
}

// Open lets requests through to handler from now on.
func (g *Gate) Open(handler http.Handler) { g.handler.Store(&handler) }

// Opened reports whether there is a real handler already.
func (g *Gate) Opened() bool { return g.handler.Load() != nil }

// ServeHTTP is part of http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := g.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/healthz" {
		Healthz(w, r)
		return
	}
	w.Header().Set("Retry-After", "1")
	if r.URL.Path == "/readyz" {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"ready":false,"reason":"the server is starting: its database is not up yet","checks":[]}` + "\n")) // nobody to tell
		return
	}
	// Who comes early is no failure to look into.
	writeError(w, r, constellation.Errorf(constellation.KindUnavailable, "the server is starting; try again in a moment"), slog.LevelDebug)
}
