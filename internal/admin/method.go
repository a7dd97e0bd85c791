package admin

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/web/page"
)

// methodNotAllowed answers 405 and says which methods the address takes.
func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	routes := chi.RouteContext(r.Context()).Routes
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		if routes != nil && routes.Match(chi.NewRouteContext(), method, r.URL.Path) {
			allowed = append(allowed, method)
			if method == http.MethodGet {
				allowed = append(allowed, http.MethodHead)
			}
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	from := s.request(w, r)
	from.p = s.visitor(r, http.StatusMethodNotAllowed)
	m := page.Failure{
		Frame: s.frame(from, "Not that way"), Status: http.StatusMethodNotAllowed, Title: "Not that way",
		Message: "This address does not take the method " + r.Method + ". It takes " + strings.Join(allowed, " and ") + ".",
	}
	if err := from.render(http.StatusMethodNotAllowed, page.FailurePage(m)); err != nil {
		s.log.ErrorContext(r.Context(), "render an error", "error", err)
	}
}
