package engine

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/constellation-serving/constellation/internal/certificate"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/identity"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/tlsserve"
)

// listenTLS listens where Options have it. Serve serves what comes there.
func (e *Engine) listenTLS(ctx context.Context) error {
	by, err := tlsserve.Listen(ctx, e.opts.TLS, e.opts.Dir, certificate.Options{ClientCAs: e.identities.ClientCAs, Now: e.now, Log: e.log})
	e.secure.Store(by)
	return err
}

// newIdentities returns who calls without a key.
func newIdentities(e *Engine) *identity.Identities {
	return identity.New(identity.Options{Dir: e.opts.Dir, Now: e.now, Log: e.log, Store: func() (identity.Store, error) {
		if e.watcher == nil {
			return identity.File(filepath.Join(e.opts.Dir, "kept-"+config.JWKSFile)), nil
		}
		cluster := e.watcher.Cluster()
		return identity.NewSecret(cluster.Config, cluster.Namespace)
	}})
}

// httpServer returns a server for bodies of 10 MiB in five minutes, and the longest
// call's time-out with as much again for its answer.
func (e *Engine) httpServer(h http.Handler) *http.Server {
	return tlsserve.NewHTTP(h, e.log, 5*time.Minute, config.MaxTimeoutSeconds*time.Second+10*time.Minute)
}

func (e *Engine) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(e.metrics.Registry(), promhttp.HandlerOpts{}))
	mux.Handle("POST "+heartbeat.PeerPath, heartbeat.PeerHandler(e, e.Token()))
	mux.Handle(operate.Path, e.upkeep.Handler(e.Token()))
	mux.HandleFunc("GET /healthz", e.serveHealth)
	mux.HandleFunc("GET /readyz", e.serveReady)
	return mux
}
