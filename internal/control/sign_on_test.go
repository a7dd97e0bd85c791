package control_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/signon"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// provided is a house whose people sign in by a provider.
func provided(t *testing.T, signUp bool) (*house, *signontest.Provider) {
	t.Helper()
	h, at := newHouse(t), signontest.New(t)
	providers, err := signon.New([]signon.Settings{{
		Name: "corp", Label: "Corp", Issuer: at.Issuer(), ClientID: signontest.ClientID, ClientSecret: signontest.ClientSecret, SignUp: signUp,
		Roles:   []signon.RoleRule{{Role: constellation.RoleViewer, Group: "all"}, {Role: constellation.RoleAdmin, Group: "admins"}},
		Refresh: time.Minute, Grace: time.Hour,
	}}, signon.Options{PublicURL: h.options.PublicURL, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.options.SignOn = providers
	h.Service = control.New(h.options)
	return h, at
}

// come has whom the provider names sign in.
func (h *house) come(t *testing.T, at *signontest.Provider) (control.Principal, error) {
	t.Helper()
	begun, err := h.BeginSignIn(t.Context(), "corp", "/audit")
	if err != nil {
		return control.Principal{}, err
	}
	q := at.SignIn(t, begun.URL)
	p, next, err := h.FinishSignIn(t.Context(), "corp", begun.Kept, control.Callback{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss")}, "192.0.2.7")
	if err == nil && next != "/audit" {
		t.Errorf("after signing in the visitor goes to %q, want /audit", next)
	}
	return p, err
}

func (h *house) refresh(t *testing.T) {
	t.Helper()
	h.ahead(2 * time.Minute)
	if err := h.RefreshSignOns(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantRefused(t *testing.T, what string, err error, says string) {
	t.Helper()
	if err == nil || constellation.KindOf(err) == constellation.KindInternal || !strings.Contains(err.Error(), says) {
		t.Errorf("%s: %v, want …%s…", what, err, says)
	}
}

// TestSignOnLife is somebody from the first sign-in to the last: groups change, the
// provider is away, the person is disabled and comes back.
func TestSignOnLife(t *testing.T) {
	t.Parallel()
	h, at := provided(t, true)
	at.Person("1", "neo", nil, "admins")
	p, err := h.come(t, at)
	if err != nil || p.Username != "neo" || p.Role != constellation.RoleAdmin {
		t.Fatalf("first sign-in: %+v, %v", p, err)
	}
	token, _, err := h.CreateSession(t.Context(), p, "Firefox")
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := h.CreateKey(t.Context(), p, "neo", control.NewKey{Name: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, role constellation.Role, says string) {
		t.Helper()
		for by, f := range map[string]func() (control.Principal, error){
			"session": func() (control.Principal, error) { return h.AuthenticateSession(t.Context(), token, "") },
			"key":     func() (control.Principal, error) { return h.AuthenticateKey(t.Context(), key, "") },
		} {
			p, err := f()
			switch {
			case role != "" && (err != nil || p.Role != role):
				t.Errorf("%s, by a %s: %v as %q, want %s", what, by, err, p.Role, role)
			case role == "" && by == "key":
				wantRefused(t, what, err, says)
			case role == "" && constellation.KindOf(err) != constellation.KindUnauthenticated:
				t.Errorf("%s, by a session: %v, want it ended", what, err)
			}
		}
	}
	check("after the first sign-in", constellation.RoleAdmin, "")
	at.Person("1", "neo", nil, "all")
	h.refresh(t)
	check("with another group", constellation.RoleViewer, "")

	at.Instead("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	h.refresh(t)
	check("with the provider away", constellation.RoleViewer, "")
	h.ahead(time.Hour)
	check("with the provider away for too long", "", "could not be asked about neo for too long")
	at.Instead("/token", nil)
	h.refresh(t)
	check("with the provider back", constellation.RoleViewer, "")

	at.Refuse("1", true)
	h.refresh(t)
	check("disabled at the provider", "", "Corp does not vouch for neo any more")
	account, err := h.GetAccount(t.Context(), control.Shell(), "neo")
	if err != nil || account.SignOnEndedAt == nil || account.Provider != "corp" {
		t.Errorf("the account of somebody disabled: %+v, %v", account, err)
	}
	at.Refuse("1", false)
	if p, err = h.come(t, at); err != nil {
		t.Fatal(err)
	}
	if token, _, err = h.CreateSession(t.Context(), p, "Firefox"); err != nil {
		t.Fatal(err)
	}
	check("signed in again", constellation.RoleViewer, "")
	at.Person("1", "neo", nil, "nobody")
	h.refresh(t)
	check("out of every group", "", "does not vouch")

	events, err := h.ListEvents(t.Context(), control.Shell(), control.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, e := range events.Items {
		actions = append(actions, e.Actor+" "+e.Action)
	}
	for _, want := range []string{"neo account.create", "system account.update", "system account.sign_on_ended"} {
		if !strings.Contains(strings.Join(actions, "\n"), want) {
			t.Errorf("the audit log lacks %q:\n%s", want, strings.Join(actions, "\n"))
		}
	}
}

// Accounts that sign in otherwise are nobody's to take.
func TestSignOnTakesNoAccount(t *testing.T) {
	t.Parallel()
	h, at := provided(t, true)
	local, _ := h.person(t, "neo", constellation.RoleAdmin)
	if _, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "robot", Kind: constellation.KindService, Role: constellation.RoleAdmin}); err != nil {
		t.Fatal(err)
	}
	at.Person("1", "NEO", nil, "all")
	_, err := h.come(t, at)
	wantRefused(t, "the name of a local account", err, "does not sign in as you do")
	at.Person("2", "robot", nil, "all")
	_, err = h.come(t, at)
	wantRefused(t, "the name of a service", err, "does not sign in as you do")

	corp, none := "corp", ""
	_, err = h.UpdateAccount(t.Context(), local, "neo", control.AccountChange{Provider: &corp})
	wantRefused(t, "linking the last local admin", err, "last enabled admin")
	h.account(t, "morpheus", constellation.RoleAdmin)
	if _, err := h.UpdateAccount(t.Context(), control.Shell(), "neo", control.AccountChange{Provider: &corp}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.AuthenticatePassword(t.Context(), "neo", goodPassword, "192.0.2.1", ""); err == nil {
		t.Error("the password of a linked account still counts")
	}
	at.Person("1", "NEO", nil, "all")
	p, err := h.come(t, at)
	if err != nil || p.Username != "neo" || p.Role != constellation.RoleViewer {
		t.Fatalf("a linked account's first sign-in: %+v, %v", p, err)
	}
	at.Person("3", "neo", nil, "admins")
	_, err = h.come(t, at)
	wantRefused(t, "another subject with the same name", err, "does not sign in as you do")
	_, err = h.UpdateAccount(t.Context(), control.Shell(), "neo", control.AccountChange{Role: new(constellation.RoleAdmin)})
	wantRefused(t, "another role", err, "comes from the groups")
	_, err = h.ResetPassword(t.Context(), control.Shell(), "neo")
	wantRefused(t, "a password", err, "signs in by Corp")
	if _, err := h.UpdateAccount(t.Context(), control.Shell(), "neo", control.AccountChange{Provider: &none}); err != nil {
		t.Fatal(err)
	}
	_, err = h.come(t, at)
	wantRefused(t, "after it was detached", err, "does not sign in as you do")
}

func TestSignOnByInvitation(t *testing.T) {
	t.Parallel()
	h, at := provided(t, false)
	at.Person("1", "neo", nil, "all")
	_, err := h.come(t, at)
	wantRefused(t, "nobody invited", err, "nobody invited")
	if _, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "Neo", Role: constellation.RoleAdmin, Provider: "corp"}); err != nil {
		t.Fatal(err)
	}
	if p, err := h.come(t, at); err != nil || p.Username != "Neo" || p.Role != constellation.RoleViewer {
		t.Errorf("who was invited: %+v, %v", p, err)
	}
	disabled := true
	if _, err := h.UpdateAccount(t.Context(), control.Shell(), "neo", control.AccountChange{Disabled: &disabled}); err != nil {
		t.Fatal(err)
	}
	_, err = h.come(t, at)
	wantRefused(t, "disabled here", err, "disabled")
	_, err = h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: "x", Role: constellation.RoleViewer, Provider: "elsewhere"})
	wantRefused(t, "a provider that is not", err, "no sign-in by a provider")
}

// A sign-in counts once, for the browser that began it, at any server.
func TestSignInsOfOthers(t *testing.T) {
	t.Parallel()
	h, at := provided(t, true)
	at.Person("1", "neo", nil, "all")
	begun, err := h.BeginSignIn(t.Context(), "corp", "/")
	if err != nil {
		t.Fatal(err)
	}
	other, err := h.BeginSignIn(t.Context(), "corp", "/")
	if err != nil {
		t.Fatal(err)
	}
	q := at.SignIn(t, begun.URL)
	c := control.Callback{State: q.Get("state"), Code: q.Get("code")}
	finish := func(s *control.Service, kept string) error {
		_, _, err := s.FinishSignIn(t.Context(), "corp", kept, c, "192.0.2.7")
		return err
	}
	wantRefused(t, "without what the browser kept", finish(h.Service, ""), "not for a sign-in that this browser began")
	wantRefused(t, "with a kept text of nobody", finish(h.Service, "AAAA"), "not for a sign-in that this browser began")
	wantRefused(t, "with another sign-in's", finish(h.Service, other.Kept), "not for a sign-in that this browser began")
	replica := control.New(h.options)
	if err := finish(replica, begun.Kept); err != nil {
		t.Errorf("at another server: %v", err)
	}
	wantRefused(t, "again", finish(h.Service, begun.Kept), "used already")
	_, _, err = h.FinishSignIn(t.Context(), "nobody", begun.Kept, c, "")
	wantRefused(t, "at a provider that is not", err, "no sign-in by a provider")
	if n := h.count(t, "account.login_failed"); n != 4 {
		t.Errorf("the audit log has %d refused sign-ins, want 4", n)
	}
}

// count returns how many events of an action there are.
func (h *house) count(t *testing.T, action string) int {
	t.Helper()
	page, err := h.ListEvents(t.Context(), control.Shell(), control.EventQuery{Action: action})
	if err != nil {
		t.Fatal(err)
	}
	return len(page.Items)
}
