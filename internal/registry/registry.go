// Package registry is the mothership's OCI registry:
// distribution's storage behind one gate that knows accounts and roles. A
// push under a Git hash registers an algorithm version; a launch's bundle is
// a read-only image index under satellites/.
package registry

import (
	"cmp"
	"io"
	"log/slog"
	"net/http"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

const apiVersionHeader = "Docker-Distribution-Api-Version"

// Options are what a Registry can be told. All may be left out.
type Options struct {
	Log    *slog.Logger
	Bodies *httpserve.Bodies // what of manifests is in memory counts there
	// CatalogPage is how many repositories /v2/_catalog lists at a time where the
	// client does not say; 0 is 100. Clients may ask for 1000, or for as many.
	CatalogPage int
	Limits      *ratelimit.Limiter // of requests; nil is none
}

// Registry serves /v2. It is safe for concurrent use.
type Registry struct {
	control *control.Service
	storage *Storage
	log     *slog.Logger
	bodies  *httpserve.Bodies
	limits  *ratelimit.Limiter

	catalogPage int
}

// New makes the handler of /v2 and everything under it; mount it at /v2 and
// /v2/ with the path left as it is.
func New(service *control.Service, storage *Storage, options Options) *Registry {
	log := options.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Registry{control: service, storage: storage, log: log, bodies: options.Bodies, limits: options.Limits, catalogPage: cmp.Or(options.CatalogPage, catalogListed)}
}

// ServeHTTP parses the path, authenticates, authorises, and only then lets
// anything read the body or the storage.
func (g *Registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(apiVersionHeader, "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := g.serve(w, r); err != nil {
		httpserve.Refuse(w, r, func() { g.writeError(w, r, err) })
	}
}

// serve is the one gate: no handler is reached except through here.
func (g *Registry) serve(w http.ResponseWriter, r *http.Request) error {
	principal, err := g.authenticate(r)
	if err != nil {
		return g.limits.Stranger(r.Context(), w.Header(), clientAddress(r), r.Header.Get("Authorization") != "", err)
	}
	if err := g.limits.Count(r.Context(), w.Header(), ratelimit.Key, principal.KeyID); err != nil {
		return err
	}
	route, err := parseRoute(r.URL.Path)
	if err != nil {
		return err
	}
	if err := g.authorise(principal, route, r.Method); err != nil {
		return err
	}
	w, done := moving(w, r, stallTimeout) // now that we know who sends or asks
	defer done()
	q := request{Request: r, principal: principal, route: route}
	switch {
	case route.kind == routeBase:
		return serveBase(w)
	case route.satelliteID != "":
		return g.serveSatellite(w, q)
	case route.kind == routeReferrers:
		return g.serveReferrers(w, q)
	case route.kind == routeManifest && r.Method == http.MethodPut:
		return g.putManifest(w, q)
	case (route.kind == routeUploads || route.kind == routeUpload) && r.Method != http.MethodGet && r.Method != http.MethodHead:
		return g.upload(w, q)
	default:
		return g.read(w, q)
	}
}

// request is a request that has passed the gate.
type request struct {
	*http.Request
	principal control.Principal
	route     route
}

func serveBase(w http.ResponseWriter) error {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}") // the client's connection is not ours to mend
	return nil
}
