// Package admin is the panel in the browser: each handler reads its form,
// makes its control call and renders a page. Handlers return errors; one
// adaptor answers them.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
	"github.com/constellation-serving/constellation/web/docs"
	"github.com/constellation-serving/constellation/web/page"
	"github.com/constellation-serving/constellation/web/static"
)

// Options are what New may be told. Now, Log and Limits may be nil.
type Options struct {
	PublicURL    string // where browsers and operators reach this mothership, perhaps below a path
	RegistryHost string // where clients of images do; "" is the public URL's host
	Now          func() time.Time
	Log          *slog.Logger
	Stopping     <-chan struct{} // closed when the server stops: streams end; nil is never
	Reference    string          // of the REST API, as HTML that can be trusted
	Limits       *ratelimit.Limiter
}

// server holds what the handlers need.
type server struct {
	control   *control.Service
	publicURL string
	registry  string // the host that images are pushed to
	root      root
	now       func() time.Time
	log       *slog.Logger
	stopping  <-chan struct{}
	guide     *docs.Guide
	reference string
	streams   streams // of changes, open now
	limits    *ratelimit.Limiter
}

// New makes the handler of the panel's pages and of /static/.
func New(service *control.Service, options Options) http.Handler {
	s := &server{control: service, publicURL: strings.TrimSuffix(options.PublicURL, "/"), now: options.Now, log: options.Log, stopping: options.Stopping, reference: options.Reference, limits: options.Limits}
	s.root = newRoot(s.publicURL)
	if s.registry = options.RegistryHost; s.registry == "" {
		s.registry = s.host()
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.guide = s.newGuide()
	r := chi.NewRouter()
	r.Use(s.policy, s.sameOrigin, httpserve.HeadAsGet, middleware.Compress(5, "text/html"))
	r.Handle("/static/*", static.Handler())
	pages := r.With(s.takeFlash)
	for _, route := range s.routes() {
		pages.Method(route.method, route.pattern, s.open(route))
	}
	r.NotFound(s.takeFlash(s.handle(func(*request) error {
		return constellation.Errorf(constellation.KindNotFound, "There is no page at this address.")
	})).ServeHTTP)
	r.MethodNotAllowed(s.methodNotAllowed)
	return r
}

// contentPolicy lets a page load our own styles, scripts and images, and talk
// to us: nothing inline, no eval, nothing from elsewhere.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

func (s *server) policy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", contentPolicy)
		// Without a referrer a browser sends our own forms with "Origin: null",
		// which over plain http is all that says where they come from.
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// sameOrigin refuses forms that another site sends with our visitor's cookie.
func (s *server) sameOrigin(next http.Handler) http.Handler {
	protection := http.NewCrossOriginProtection()
	if s.publicURL != "" {
		// Behind a proxy the Host may differ from what the browser sees.
		if err := protection.AddTrustedOrigin(strings.TrimSuffix(s.publicURL, s.root.path)); err != nil {
			s.log.Warn("the public URL is no origin; forms are taken from the request's own host only", "url", s.publicURL)
		}
	}
	protection.SetDenyHandler(s.handle(func(*request) error {
		return constellation.Errorf(constellation.KindForbidden, "This form came from another site, so nothing was changed. Open the page here and try again.")
	}))
	return protection.Handler(next)
}

type handler func(r *request) error

// handle answers a handler's error with a page.
func (s *server) handle(h handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
		if err := h(s.request(w, r)); err != nil && !errors.Is(err, errAnswered) {
			s.fail(w, r, err)
		}
	}
}

// fail renders an error: its own sentence for the visitor, the chain for the
// log.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := httpserve.Status(err)
	from := s.request(w, r)
	from.p = s.visitor(r, status)
	m := page.Failure{Frame: s.frame(from, ""), Status: status, Title: "Something went wrong", Message: "The server could not answer. Try again; if it stays so, its log says why."}
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		m.Title, m.Message = title(e.Kind), e.Message
	}
	if status >= http.StatusInternalServerError {
		m.ID = httpserve.RequestIDOf(r.Context())
		if r.Context().Err() == nil {
			s.log.ErrorContext(r.Context(), "request failed", "id", m.ID, "method", r.Method, "path", r.URL.Path, "error", err)
		}
	}
	m.Frame.Title = m.Title
	httpserve.TellRetry(w.Header(), status, err)
	if sender, err := url.Parse(r.Referer()); err == nil && r.Method == http.MethodPost && sender.Host == r.Host {
		m.Back = ownPath(s.root.own(sender.RequestURI()))
	}
	from.wholePage()
	from.Request = r.WithContext(context.WithoutCancel(r.Context())) // which ends when a body does not arrive
	if err := from.render(status, page.FailurePage(m)); err != nil {
		s.log.ErrorContext(r.Context(), "render an error", "error", err)
	}
}

// visitor returns who an error is shown to: someone signed in keeps the panel
// around it. A server in trouble is not asked.
func (s *server) visitor(r *http.Request, status int) control.Principal {
	if status >= http.StatusInternalServerError {
		return control.Principal{}
	}
	p, err := s.session(r)
	if err != nil {
		return control.Principal{}
	}
	return p
}

func title(kind constellation.Kind) string {
	switch kind {
	case constellation.KindNotFound:
		return "Not found"
	case constellation.KindForbidden:
		return "Not allowed"
	case constellation.KindRateLimited:
		return "Too many requests"
	case constellation.KindUnavailable:
		return "Not available at the moment"
	}
	return "That did not work"
}
