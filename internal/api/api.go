// Package api is the REST API under /v1 (DESIGN section 3): handlers on Huma
// and chi that decode, make one control call and answer, the OpenAPI document
// made from them, and its readable form at /docs/api.
package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// Options are what New may be told; the zero value works.
type Options struct {
	PublicURL string // where clients reach this API, for links; "" makes them relative
	Version   string // of the mothership, for the OpenAPI document
}

// server holds what the handlers need.
type server struct {
	control   *control.Service
	publicURL string
	api       huma.API
}

// New makes the handler of /v1/…, /openapi.json, /docs/api and /docs/api/….
func New(service *control.Service, options Options) http.Handler {
	router := chi.NewMux()
	router.Use(httpserve.HeadAsGet, capBody, checkAddress)
	s := &server{control: service, publicURL: strings.TrimSuffix(options.PublicURL, "/")}
	s.api = humachi.New(router, config(s, options))
	s.api.UseMiddleware(s.serve)

	s.accountRoutes()
	s.userRoutes()
	s.algorithmRoutes()
	s.satelliteRoutes()
	s.launchRoutes()
	s.eventRoutes()
	s.heartbeatRoute(router)

	addDocs(router, s.api.OpenAPI())
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		httpserve.WriteError(w, r, constellation.Errorf(constellation.KindNotFound,
			"there is nothing at %s; /docs/api lists what there is", shorten(r.URL.Path)))
	})
	router.MethodNotAllowed(methodNotAllowed(router))
	return router
}

func methodNotAllowed(router chi.Routes) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if r.URL.RawPath != "" {
			path = r.URL.RawPath
		}
		allowed := slices.DeleteFunc(slices.Clone(methods), func(method string) bool {
			if method == http.MethodHead { // answered as GET
				method = http.MethodGet
			}
			return !router.Match(chi.NewRouteContext(), method, path)
		})
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		httpserve.WriteErrorStatus(w, r, http.StatusMethodNotAllowed, constellation.Errorf(constellation.KindMalformed,
			"%s does not work on %s; it takes %s", r.Method, shorten(r.URL.Path), strings.Join(allowed, ", ")))
	}
}

// shorten keeps what a client sent from filling a message.
func shorten(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s…", strings.ToValidUTF8(s[:most], ""))
}
