package admin

import (
	"net/http"
	"net/url"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// anyone is the role of a route that needs nobody signed in.
const anyone constellation.Role = ""

// route is one address and method of the panel, and the role that its visitor
// needs at least. The control layer decides again, for every surface alike;
// here it keeps people from forms that they could not send.
type route struct {
	method, pattern string
	role            constellation.Role
	handle          signedInHandler
}

type signedInHandler func(w http.ResponseWriter, r *http.Request, p control.Principal) error

// routes is everything the panel answers, beside /static/.
func (s *server) routes() []route {
	var list []route
	for _, part := range [][]route{
		s.sessionRoutes(), s.satelliteRoutes(), s.algorithmRoutes(), s.accountRoutes(), s.userRoutes(), s.auditRoutes(), s.systemRoutes(),
		s.docsRoutes(), s.findRoutes(),
	} {
		list = append(list, part...)
	}
	return list
}

func (s *server) sessionRoutes() []route {
	return []route{
		{"GET", "/setup", anyone, public(s.showSetup)},
		{"POST", "/setup", anyone, public(s.setup)},
		{"GET", "/invitation", anyone, public(s.showInvitation)},
		{"POST", "/invitation", anyone, public(s.acceptInvitation)},
		{"GET", "/login", anyone, public(s.showLogin)},
		{"POST", "/login", anyone, public(s.login)},
		{"POST", "/logout", anyone, public(s.logout)},
		{"POST", "/theme", anyone, public(s.setTheme)},
	}
}

func (s *server) satelliteRoutes() []route {
	return []route{
		{"GET", "/", constellation.RoleViewer, s.listSatellites},
		{"GET", "/satellites/{satellite_id}", constellation.RoleViewer, s.showSatellite},
		{"GET", "/satellites/{satellite_id}/launches/{launch_id}", constellation.RoleViewer, s.showLaunch},
	}
}

// public is a handler that does not ask who is there.
func public(h handler) signedInHandler {
	return func(w http.ResponseWriter, r *http.Request, _ control.Principal) error { return h(w, r) }
}

// open lets those through who have a session and the route's role; others
// sign in first and come back, to a form with what they had typed.
func (s *server) open(route route) http.HandlerFunc {
	return s.handle(func(w http.ResponseWriter, r *http.Request) error {
		if route.role == anyone {
			return route.handle(w, r, control.Principal{})
		}
		p, err := s.session(r)
		switch {
		case err == nil && p.Role.Rank() >= route.role.Rank():
			return route.handle(w, r, p)
		case err == nil:
			return constellation.Errorf(constellation.KindForbidden, "This page needs the role %s; %s has the role %s. Ask an administrator.", route.role, p.Username, p.Role)
		case constellation.KindOf(err) != constellation.KindUnauthenticated:
			return err
		case r.Method == http.MethodPost:
			return s.signInAgain(w, r)
		}
		next := r.URL
		if current, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && fragment(r) != "" {
			next = current
		}
		target := "/login"
		if path := next.RequestURI(); path != "/" {
			target += "?next=" + url.QueryEscape(path)
		}
		redirect(w, r, target)
		return nil
	})
}
