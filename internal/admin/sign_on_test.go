package admin

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/signon"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// provided is a panel whose visitors sign in by a provider.
func provided(t *testing.T) (*world, *signontest.Provider) {
	t.Helper()
	const publicURL = "https://mothership.example.com"
	at := signontest.New(t)
	providers, err := signon.New([]signon.Settings{{
		Name: "corp", Label: "Corp", Issuer: at.Issuer(), ClientID: signontest.ClientID, ClientSecret: signontest.ClientSecret, SignUp: true,
		Roles: []signon.RoleRule{{Role: constellation.RoleAdmin, Group: "admins"}},
	}}, signon.Options{PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := auth.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	db := postgrestest.New(t)
	service := control.New(control.Options{DB: db, Sealer: sealer, PublicURL: publicURL, SignOn: providers})
	return &world{t: t, control: service, db: db, panel: New(service, Options{PublicURL: publicURL})}, at
}

// with sends a GET with cookies.
func (w *world) with(target string, cookies []*http.Cookie) *http.Response {
	r := httptest.NewRequest("GET", target, nil).WithContext(w.t.Context())
	for _, c := range cookies {
		r.AddCookie(c)
	}
	recorder := httptest.NewRecorder()
	w.panel.ServeHTTP(recorder, r)
	return recorder.Result()
}

func TestSignInByAProvider(t *testing.T) {
	t.Parallel()
	w, at := provided(t)
	at.Person("1", "neo", nil, "admins")
	if body := w.page("/login?next=%2Fusers", nil, http.StatusOK); !strings.Contains(body, `href="/login/corp?next=%2Fusers"`) || !strings.Contains(body, "Sign in with Corp") {
		t.Errorf("the sign-in page has no button of the provider:\n%s", body)
	}
	begun := w.with("/login/corp?next=%2Fusers", nil)
	if begun.StatusCode != http.StatusSeeOther || len(begun.Cookies()) != 1 {
		t.Fatalf("beginning a sign-in = %d with %v", begun.StatusCode, begun.Cookies())
	}
	kept := begun.Cookies()[0]
	if !kept.HttpOnly || !kept.Secure || kept.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(kept.Name, "__Host-") {
		t.Errorf("the cookie of a sign-in under way: %+v", kept)
	}
	back := "/login/corp/callback?" + at.SignIn(t, begun.Header.Get("Location")).Encode()
	stranger := w.with(back, nil)
	if stranger.StatusCode != http.StatusForbidden || !strings.Contains(readAll(t, stranger), "not for a sign-in that this browser began") {
		t.Errorf("the answer in another browser = %d", stranger.StatusCode)
	}
	done := w.with(back, begun.Cookies())
	if done.StatusCode != http.StatusSeeOther || done.Header.Get("Location") != "/users" {
		t.Fatalf("coming back = %d to %q: %s", done.StatusCode, done.Header.Get("Location"), readAll(t, done))
	}
	var session *http.Cookie
	for _, c := range done.Cookies() {
		switch {
		case c.Name == "__Host-constellation":
			session = c
		case c.Name == kept.Name && c.Value != "":
			t.Error("the sign-in is kept after it ended")
		}
	}
	again := w.with(back, begun.Cookies())
	if again.StatusCode != http.StatusForbidden || !strings.Contains(readAll(t, again), "used already") {
		t.Errorf("the answer again = %d", again.StatusCode)
	}
	if body := w.page("/users/neo", session, http.StatusOK); !strings.Contains(body, "the groups at Corp give it") {
		t.Errorf("the user's page does not say where the account comes from:\n%s", body)
	}
	if body := w.page("/account", session, http.StatusOK); strings.Contains(body, "/account/password") {
		t.Error("somebody without a password is offered to change it")
	}
	left := w.send("POST", "/logout", url.Values{}, session)
	if body := readAll(t, left); !strings.Contains(body, at.Issuer()+"/leave?") || !strings.Contains(body, "http-equiv=\"refresh\"") {
		t.Errorf("signing out does not lead to the provider:\n%s", body)
	}
	if w.with("/users", []*http.Cookie{session}).StatusCode != http.StatusSeeOther {
		t.Error("the session goes on after signing out")
	}
}

func TestProviderThatIsAway(t *testing.T) {
	t.Parallel()
	w, at := provided(t)
	at.Instead("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	answer := w.with("/login/corp", nil)
	if body := readAll(t, answer); answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Corp cannot be used at the moment") || !strings.Contains(body, `name="password"`) {
		t.Errorf("a provider that is away = %d: %s", answer.StatusCode, body)
	}
	if body := w.page("/login", nil, http.StatusOK); !strings.Contains(body, "Corp cannot be used at the moment") || strings.Contains(body, "Sign in with Corp") {
		t.Errorf("the sign-in page does not say that the provider is away:\n%s", body)
	}
	w.visitor("local", constellation.RoleAdmin)
	if answer := w.with("/login/elsewhere", nil); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a provider that is not = %d", answer.StatusCode)
	}
}

// A form that the end of a session interrupted goes on after a sign-in in another
// tab.
func TestFormGoesOnAfterAProvider(t *testing.T) {
	t.Parallel()
	w, _ := provided(t)
	answer := w.send("POST", "/users/new", url.Values{"username": {"trinity"}}, nil)
	body := readAll(t, answer)
	if !strings.Contains(body, "in a new tab") || !strings.Contains(body, "go on with the form") {
		t.Errorf("a kept form offers no provider:\n%s", body)
	}
	form := url.Values{"continue": {"true"}, "kept:": {"/users/new"}, "kept:username": {"trinity"}}
	if body := readAll(t, w.send("POST", "/login", form, nil)); !strings.Contains(body, "not signed in yet") || !strings.Contains(body, `value="trinity"`) {
		t.Errorf("going on without a session:\n%s", body)
	}
	session := w.visitor("admin", constellation.RoleAdmin)
	if body := readAll(t, w.send("POST", "/login", form, session)); !strings.Contains(body, `action="/users/new"`) || !strings.Contains(body, `value="trinity"`) {
		t.Errorf("going on with a session:\n%s", body)
	}
}
