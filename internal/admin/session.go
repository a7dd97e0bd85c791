package admin

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/web/page"
)

func (s *server) https() bool { return strings.HasPrefix(s.publicURL, "https://") }

// cookiePrefix is that by which browsers bind a cookie to HTTPS, and at the root of
// a host to this host too: "" without HTTPS.
func (s *server) cookiePrefix() string {
	switch {
	case !s.https():
		return ""
	case s.root.path != "": // browsers take __Host- with the path / alone
		return "__Secure-"
	}
	return "__Host-"
}

// cookieName is the name of the session's cookie.
func (s *server) cookieName() string {
	if s.https() {
		return s.cookiePrefix() + "constellation"
	}
	return "constellation_session"
}

// setCookie sends a cookie of ours. It goes to our own paths alone, and is for
// HTTPS alone where the public URL is: without, browsers would not send it back.
func (r *request) setCookie(c *http.Cookie) {
	c.Path, c.HttpOnly, c.Secure = r.root.cookiePath(), true, r.https
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	http.SetCookie(r.w, c)
}

func (s *server) keepSession(r *request, token string, expires time.Time) {
	r.setCookie(&http.Cookie{Name: s.cookieName(), Value: token, Expires: expires})
}

// session returns the principal of the request's session cookie.
func (s *server) session(r *http.Request) (control.Principal, error) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil || cookie.Value == "" {
		return control.Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "Sign in first.")
	}
	return s.control.AuthenticateSession(r.Context(), cookie.Value, httpserve.Address(r))
}

func (s *server) showLogin(r *request) error {
	next := localPath(r.URL.Query().Get("next"))
	if _, err := s.session(r.Request); err == nil {
		r.goTo(next)
		return nil
	}
	return r.render(http.StatusOK, page.LoginPage(s.loginModel(r, page.Login{Next: next})))
}

// loginModel completes the model of the page that asks to sign in.
func (s *server) loginModel(r *request, m page.Login) page.Login {
	m.Frame, m.Providers = s.frame(r, "Sign in"), s.control.Providers()
	return m
}

func (s *server) login(r *request) error {
	if r.PostForm.Get("continue") != "" {
		return s.goOn(r)
	}
	username, next := r.PostForm.Get("username"), localPath(r.PostForm.Get("next"))
	p, err := s.control.AuthenticatePassword(r.Context(), username, r.PostForm.Get("password"), httpserve.Address(r.Request), s.device(r.Request))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		httpserve.TellRetry(r.w.Header(), httpserve.Status(err), err)
		return r.render(httpserve.Status(err), page.LoginPage(s.loginModel(r, page.Login{
			Username: username, Next: next, Problem: e.Message, Kept: keptForm(r.Request),
		})))
	}
	if err != nil {
		return err
	}
	r.p = p
	if kept := keptForm(r.Request); len(kept) > 0 {
		if err := s.begin(r); err != nil {
			return err
		}
		return s.sendOn(r, kept)
	}
	return s.enter(r, next)
}

// enter begins a session and goes to a page.
func (s *server) enter(r *request, next string) error {
	if err := s.begin(r); err != nil {
		return err
	}
	r.redirect(next)
	return nil
}

// begin begins a session. An older one in the same browser ends, so that its
// cookie cannot be used beside the new one.
func (s *server) begin(r *request) error {
	if s.https() && overPlainHTTP(r.Request) {
		return constellation.Errorf(constellation.KindInvalid, "Browsers keep a sign-in to this mothership over https only. Open %s and sign in there.", s.publicURL)
	}
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		if err := s.control.EndSession(r.Context(), cookie.Value); err != nil && constellation.KindOf(err) == constellation.KindInternal {
			return err
		}
	}
	token, expires, err := s.control.CreateSession(r.Context(), r.p, r.UserAgent())
	if err != nil {
		return err
	}
	s.keepSession(r, token, expires)
	s.rememberDevice(r)
	return nil
}

// deviceCookie returns the name of the cookie by which a browser that signed in
// once is known when others guess passwords from its address.
func (s *server) deviceCookie() string {
	return s.cookiePrefix() + "constellation_device"
}

func (s *server) device(r *http.Request) string {
	cookie, err := r.Cookie(s.deviceCookie())
	if err != nil {
		return ""
	}
	return cookie.Value
}

func (s *server) rememberDevice(r *request) {
	r.setCookie(&http.Cookie{
		Name: s.deviceCookie(), Value: s.control.DeviceToken(r.p, s.device(r.Request)), MaxAge: int(control.DeviceLifetime / time.Second),
		SameSite: http.SameSiteStrictMode,
	})
}

// overPlainHTTP reports whether a form came from a page on plain http, where
// browsers drop cookies that are for https. They keep them on loopback.
func overPlainHTTP(r *http.Request) bool {
	origin, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || origin.Scheme != "http" {
		return false
	}
	host := origin.Hostname()
	return host != "localhost" && !net.ParseIP(host).IsLoopback()
}

func (s *server) logout(r *request) error {
	onward := s.onward(r)
	if cookie, err := r.Cookie(s.cookieName()); err == nil {
		if err := s.control.EndSession(r.Context(), cookie.Value); err != nil && constellation.KindOf(err) == constellation.KindInternal {
			return err
		}
	}
	s.keepSession(r, "", time.Unix(1, 0))
	if onward.URL != "" {
		onward.Frame = s.frame(r, "Signed out")
		onward.Frame.Onward = onward.URL
		return r.render(http.StatusOK, page.SignedOutPage(onward))
	}
	r.goTo("/login")
	return nil
}

func (s *server) showSetup(r *request) error {
	token := r.URL.Query().Get("token")
	if token == "" {
		return constellation.Errorf(constellation.KindNotFound, "The set-up link is incomplete. The server's log has the whole link.")
	}
	if err := s.control.CheckSetup(r.Context(), token); err != nil {
		return err
	}
	return r.render(http.StatusOK, page.SetupPage(page.Setup{Frame: s.frame(r, "Set up"), Token: token}))
}

func (s *server) setup(r *request) error {
	m := page.Setup{Frame: s.frame(r, "Set up"), Token: r.PostForm.Get("token"), Username: r.PostForm.Get("username")}
	password := r.PostForm.Get("password")
	account, err := s.control.CompleteSetup(r.Context(), m.Token, m.Username, password, httpserve.Address(r.Request))
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		m.Fields = map[string]string{}
		for _, f := range e.Fields {
			m.Fields[f.Field] = f.Message
		}
		if m.Fields["username"] == "" && m.Fields["password"] == "" {
			m.Problem = e.Message
		}
		return r.render(httpserve.Status(err), page.SetupPage(m))
	}
	if err != nil {
		return err
	}
	r.p, err = s.control.AuthenticatePassword(r.Context(), account.Username, password, httpserve.Address(r.Request), s.device(r.Request))
	if err != nil {
		return err
	}
	return s.enter(r, "/")
}

func parseForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		var full *constellation.Error
		if errors.As(err, &full) {
			return full
		}
		if errors.As(err, &large) {
			return constellation.Wrap(err, constellation.KindTooLarge, "The form has more than a page of ours can send.")
		}
		return constellation.Wrap(err, constellation.KindMalformed, "The form cannot be read. Open the page again.")
	}
	return nil
}

// localPath returns where to go after signing in: a path of ours, never another
// site.
func localPath(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/"
	}
	return next
}
