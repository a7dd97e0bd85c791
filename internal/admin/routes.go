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
	const viewer, operator, admin = constellation.RoleViewer, constellation.RoleOperator, constellation.RoleAdmin
	const satellite = "/satellites/{satellite_id}"
	const launch = satellite + "/launches/{launch_id}"
	return []route{
		{"GET", "/", viewer, s.listSatellites},
		{"GET", "/live", viewer, s.live},
		{"GET", "/satellites/new", admin, s.edit(s.showEditor)},
		{"POST", "/satellites/new", admin, s.edit(s.change)},
		{"GET", "/satellites/new/algorithm", admin, s.edit(s.showAlgorithmForm)},
		{"POST", "/satellites/new/algorithm", admin, s.edit(s.putAlgorithm)},
		{"GET", satellite + "/edit", admin, s.edit(s.showEditor)},
		{"POST", satellite + "/edit", admin, s.edit(s.change)},
		{"GET", satellite + "/edit/algorithm", admin, s.edit(s.showAlgorithmForm)},
		{"POST", satellite + "/edit/algorithm", admin, s.edit(s.putAlgorithm)},

		{"GET", satellite, viewer, s.satellite(s.showSatellite)},
		{"GET", satellite + "/algorithms", viewer, s.satellite(s.showAlgorithms)},
		{"GET", satellite + "/versions", viewer, s.satellite(s.showVersions)},
		{"GET", satellite + "/versions/compare", viewer, s.satellite(s.compareVersions)},
		{"GET", satellite + "/versions/{number}/again", admin, s.satellite(s.askAgain)},
		{"POST", satellite + "/versions/{number}/again", admin, s.satellite(s.makeAgain)},
		{"GET", satellite + "/authentication", viewer, s.satellite(s.showKeys)},
		{"GET", satellite + "/keys/new", admin, s.satellite(s.askKey)},
		{"POST", satellite + "/keys/new", admin, s.satellite(s.createSatelliteKey)},
		{"GET", satellite + "/keys/{key_id}/revoke", admin, s.satellite(s.askRevoke)},
		{"POST", satellite + "/keys/{key_id}/revoke", admin, s.satellite(s.revokeSatelliteKey)},
		{"GET", satellite + "/activity", viewer, s.satellite(s.showActivity)},
		{"GET", satellite + "/renew", admin, s.satellite(s.askRenew)},
		{"POST", satellite + "/renew", admin, s.satellite(s.renew)},
		{"GET", satellite + "/remove", admin, s.satellite(s.askRemove)},
		{"POST", satellite + "/remove", admin, s.remove},

		{"GET", satellite + "/launches/new", operator, s.satellite(s.askNewLaunch)},
		{"POST", satellite + "/launches/new", operator, s.satellite(s.createLaunch)},
		{"GET", launch, viewer, s.launch(s.showLaunch)},
		{"GET", launch + "/edit", operator, s.launch(s.askEditLaunch)},
		{"POST", launch + "/edit", operator, s.launch(s.editLaunch)},
		{"GET", launch + "/remove", operator, s.launch(s.askRemoveLaunch)},
		{"POST", launch + "/remove", operator, s.launch(s.removeLaunch)},
		{"GET", launch + "/promote", operator, s.launch(s.askPromote)},
		{"POST", launch + "/promote", operator, s.launch(s.promote)},
		{"GET", launch + "/rollback", operator, s.launch(s.askRollBack)},
		{"POST", launch + "/rollback", operator, s.launch(s.rollBack)},
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
		case r.URL.Path == "/live": // the stream's reader stops on this
			return err
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

// Route is an address of the panel, its method, and the role that its visitor
// needs at least, "" for none.
type Route struct {
	Method, Pattern string
	Role            constellation.Role
}

// Routes is the table of all that the panel answers, for those who check it.
func Routes() []Route {
	var list []Route
	for _, r := range new(server).routes() {
		list = append(list, Route{r.method, r.pattern, r.role})
	}
	return list
}
