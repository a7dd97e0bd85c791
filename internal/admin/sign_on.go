package admin

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/page"
)

// signInCookie returns the name of the cookie that a sign-in by a provider is kept
// in. Each has its own, so that two tabs do not end each other's.
func (s *server) signInCookie(state string) string {
	sum := sha256.Sum256([]byte(state))
	return s.signInPrefix() + hex.EncodeToString(sum[:6])
}

func (s *server) signInPrefix() string { return s.cookiePrefix() + "constellation_signin_" }

// maxSignIns is how many sign-ins under way a browser keeps.
const maxSignIns = 4

func (s *server) keepSignIn(r *request, state, kept string, expires time.Time) {
	r.setCookie(&http.Cookie{Name: s.signInCookie(state), Value: kept, Expires: expires}) // Lax: the provider's answer comes from its site
}

// beginSignIn sends the browser to a provider.
func (s *server) beginSignIn(r *request) error {
	next := localPath(r.URL.Query().Get("next"))
	begun, err := s.control.BeginSignIn(r.Context(), r.param("provider"), next)
	if err != nil {
		return s.signInProblem(r, next, err)
	}
	under := 0
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, s.signInPrefix()) {
			continue
		}
		if under++; under >= maxSignIns {
			r.setCookie(&http.Cookie{Name: c.Name, MaxAge: -1}) // ends it
		}
	}
	s.keepSignIn(r, begun.State, begun.Kept, begun.Expires)
	http.Redirect(r.w, r.Request, begun.URL, http.StatusSeeOther) //nolint:gosec // a provider's, by the settings
	return nil
}

// finishSignIn takes what a browser comes back from a provider with.
func (s *server) finishSignIn(r *request) error {
	q := r.URL.Query()
	callback := control.Callback{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error"), Description: q.Get("error_description")}
	kept := ""
	if cookie, err := r.Cookie(s.signInCookie(callback.State)); err == nil {
		kept = cookie.Value
		s.keepSignIn(r, callback.State, "", time.Unix(1, 0))
	}
	p, next, err := s.control.FinishSignIn(r.Context(), r.param("provider"), kept, callback, httpserve.Address(r.Request))
	if err != nil {
		return s.signInProblem(r, "/", err)
	}
	r.p = p
	return s.enter(r, localPath(next))
}

// signInProblem shows why a sign-in by a provider came to nothing on the page on
// which there are other ways in.
func (s *server) signInProblem(r *request, next string, err error) error {
	var e *constellation.Error
	if !errors.As(err, &e) || e.Kind == constellation.KindInternal || e.Kind == constellation.KindNotFound {
		return err
	}
	r.p = control.Principal{}
	httpserve.TellRetry(r.w.Header(), httpserve.Status(err), err)
	return r.render(httpserve.Status(err), page.LoginPage(s.loginModel(r, page.Login{Next: next, Problem: e.Message})))
}

// goOn shows the form that waited to somebody who signed in meanwhile, in another
// tab.
func (s *server) goOn(r *request) error {
	kept := keptForm(r.Request)
	p, err := s.session(r.Request)
	if err != nil {
		return r.render(http.StatusUnauthorized, page.LoginPage(s.loginModel(r, page.Login{Kept: kept, Problem: "You are not signed in yet: what you typed is still kept"})))
	}
	r.p = p
	return s.sendOn(r, kept)
}

// onward returns where somebody who signs out here signs out at their provider too.
func (s *server) onward(r *request) page.SignedOut {
	p, err := s.session(r.Request)
	if err != nil {
		return page.SignedOut{}
	}
	label, url, err := s.control.SignOutURL(r.Context(), p)
	if err != nil {
		s.log.WarnContext(r.Context(), "find where to sign out at a provider", "error", err)
	}
	return page.SignedOut{Provider: label, URL: url}
}
