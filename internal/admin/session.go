package admin

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) https() bool { return strings.HasPrefix(s.publicURL, "https://") }

// cookieName has the prefix by which browsers bind a cookie to this host and
// to HTTPS, which needs HTTPS.
func (s *server) cookieName() string {
	if s.https() {
		return "__Host-constellation"
	}
	return "constellation_session"
}

func (s *server) setCookie(w http.ResponseWriter, token string, expires time.Time) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the public URL is https; without, browsers would not send it
		Name: s.cookieName(), Value: token, Path: "/", Expires: expires,
		HttpOnly: true, Secure: s.https(), SameSite: http.SameSiteLaxMode,
	})
}

// session gives who the request's cookie belongs to.
func (s *server) session(r *http.Request) (control.Principal, error) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || cookie.Value == "" {
		return control.Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "Sign in first.")
	}
	return s.control.AuthenticateSession(r.Context(), cookie.Value, httpserve.Address(r))
}

func (s *server) showLogin(w http.ResponseWriter, r *http.Request) error {
	next := localPath(r.URL.Query().Get("next"))
	if _, err := s.session(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath gives paths of ours only
		return nil
	}
	return render(w, r, http.StatusOK, page.LoginPage(page.Login{Frame: s.frame(r, "Sign in", control.Principal{}), Next: next}))
}

func (s *server) login(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	username, next := r.PostForm.Get("username"), localPath(r.PostForm.Get("next"))
	p, err := s.control.AuthenticatePassword(r.Context(), username, r.PostForm.Get("password"), httpserve.Address(r))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		return render(w, r, httpserve.Status(err), page.LoginPage(page.Login{
			Frame: s.frame(r, "Sign in", control.Principal{}), Username: username, Next: next, Problem: e.Message, Kept: keptForm(r),
		}))
	}
	if err != nil {
		return err
	}
	if kept := keptForm(r); len(kept) > 0 {
		if err := s.begin(w, r, p); err != nil {
			return err
		}
		return s.sendOn(w, r, p, kept)
	}
	return s.enter(w, r, p, next)
}

// enter begins a session and goes to a page.
func (s *server) enter(w http.ResponseWriter, r *http.Request, p control.Principal, next string) error {
	if err := s.begin(w, r, p); err != nil {
		return err
	}
	redirect(w, r, next)
	return nil
}

// begin begins a session. An older one in the same browser ends, so that its
// cookie cannot be used beside the new one.
func (s *server) begin(w http.ResponseWriter, r *http.Request, p control.Principal) error {
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		if err := s.control.EndSession(r.Context(), cookie.Value); err != nil && constellation.KindOf(err) == constellation.KindInternal {
			return err
		}
	}
	token, expires, err := s.control.CreateSession(r.Context(), p, r.UserAgent())
	if err != nil {
		return err
	}
	s.setCookie(w, token, expires)
	return nil
}

func (s *server) logout(w http.ResponseWriter, r *http.Request) error {
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		if err := s.control.EndSession(r.Context(), cookie.Value); err != nil && constellation.KindOf(err) == constellation.KindInternal {
			return err
		}
	}
	s.setCookie(w, "", time.Unix(1, 0))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

func (s *server) showSetup(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	if token == "" {
		return constellation.Errorf(constellation.KindNotFound, "The set-up link is incomplete. The server's log has the whole link.")
	}
	if err := s.control.CheckSetup(r.Context(), token); err != nil {
		return err
	}
	return render(w, r, http.StatusOK, page.SetupPage(page.Setup{Frame: s.frame(r, "Set up", control.Principal{}), Token: token}))
}

func (s *server) setup(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	m := page.Setup{Frame: s.frame(r, "Set up", control.Principal{}), Token: r.PostForm.Get("token"), Username: r.PostForm.Get("username")}
	password := r.PostForm.Get("password")
	account, err := s.control.CompleteSetup(r.Context(), m.Token, m.Username, password, httpserve.Address(r))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		m.Fields = map[string]string{}
		for _, f := range e.Fields {
			m.Fields[f.Field] = f.Message
		}
		if m.Fields["username"] == "" && m.Fields["password"] == "" {
			m.Problem = e.Message
		}
		return render(w, r, httpserve.Status(err), page.SetupPage(m))
	}
	if err != nil {
		return err
	}
	p, err := s.control.AuthenticatePassword(r.Context(), account.Username, password, httpserve.Address(r))
	if err != nil {
		return err
	}
	return s.enter(w, r, p, "/")
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return constellation.Wrap(err, constellation.KindTooLarge, "The form has more than a page of ours can send.")
		}
		return constellation.Wrap(err, constellation.KindMalformed, "The form cannot be read. Open the page again.")
	}
	return nil
}

// localPath is where to go after signing in: a path of ours, never another
// site.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
