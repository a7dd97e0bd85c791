// Package api is the REST API under /v1: handlers on chi that decode, make one
// control call and answer, the OpenAPI document that Huma makes from their
// types, and its readable form.
package api

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// Options are what New may be told; the zero value works.
type Options struct {
	PublicURL string // where clients reach this API, for links; "" makes them relative
	Version   string // of the mothership, for the OpenAPI document

	Stopping <-chan struct{} // closed when requests that wait must end

	RequireIfMatch bool // refuse changes without If-Match

	Limits *ratelimit.Limiter // of requests; nil is none
}

// server holds what the handlers need.
type server struct {
	control   *control.Service
	publicURL string
	router    chi.Router
	api       huma.API // the document; it serves nothing
	describer *describer
	turns     turns
	waits     waits
	limits    *ratelimit.Limiter
	stopping  <-chan struct{}

	heartbeats chan struct{} // has one for each that is taken at the moment

	requireIfMatch bool
}

// Handler answers /v1/… and /openapi.json.
type Handler struct {
	http.Handler
	reference string
}

// Reference returns the OpenAPI document's readable form: the inside of an HTML
// page, in which nothing is styled or scripted.
func (h *Handler) Reference() string { return h.reference }

// New makes a Handler.
func New(service *control.Service, options Options) *Handler {
	router := chi.NewMux()
	router.Use(versioned, httpserve.HeadAsGet, capBody, checkAddress)
	s := &server{control: service, publicURL: strings.TrimSuffix(options.PublicURL, "/"), router: router, describer: &describer{}, heartbeats: make(chan struct{}, maxHeartbeats), stopping: options.Stopping, limits: options.Limits, requireIfMatch: options.RequireIfMatch}
	s.api = huma.NewAPI(config(s, options), s.describer)

	s.accountRoutes()
	s.userRoutes()
	s.serviceAccountRoutes()
	s.tokenRuleRoutes(router)
	s.algorithmRoutes()
	s.importRoutes()
	s.mirrorRoutes(router)
	s.satelliteRoutes()
	s.launchRoutes()
	s.eventRoutes()
	s.notificationRoutes()
	s.systemRoutes()
	s.heartbeatRoute(router)

	reference := addDocs(router, s.api.OpenAPI())
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		httpserve.WriteError(w, r, constellation.Errorf(constellation.KindNotFound,
			"there is nothing at %s; /docs/api lists what there is", shorten(r.URL.Path)))
	})
	router.MethodNotAllowed(methodNotAllowed(router))
	return &Handler{router, reference}
}

// versionHeader is in every answer.
const versionHeader = "Constellation-Api-Version"

// versioned says which version of the API answers.
func versioned(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(versionHeader, apiv1.Version)
		next.ServeHTTP(w, r)
	})
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
		httpserve.WriteError(w, r, httpserve.WithReason(constellation.Errorf(constellation.KindMalformed,
			"%s does not work on %s; it takes %s", r.Method, shorten(r.URL.Path), strings.Join(allowed, ", ")), apiv1.ReasonMethodNotAllowed))
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
