package panel

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"github.com/constellation-serving/constellation/internal/stack"
)

// both runs a flow with a script and without one.
func both(t *testing.T, flow func(t *testing.T, options ...option)) {
	t.Helper()
	t.Parallel()
	t.Run("with a script", func(t *testing.T) {
		t.Parallel()
		flow(t)
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		flow(t, withoutScript)
	})
}

// names are the tests that run, each under a name of its own.
var names struct {
	sync.Mutex
	of   map[*testing.T]string
	runs map[string]int
}

// nameOf is a test's name, for what it makes in a mothership that it shares. With
// -count a test has another one each time: what it made the first time is there.
func nameOf(t *testing.T) string {
	names.Lock()
	defer names.Unlock()
	if names.of == nil {
		names.of, names.runs = map[*testing.T]string{}, map[string]int{}
	}
	if names.of[t] == "" {
		names.of[t] = t.Name() + strings.Repeat(" again", names.runs[t.Name()])
		names.runs[t.Name()]++
	}
	return names.of[t]
}

// TestSetUp is the first visit of all: the link from the log makes the first
// administrator.
func TestSetUp(t *testing.T) {
	need(t)
	t.Parallel()
	m, _ := startMothership(t)
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	v := (&world{url: m.URL, host: m.Host}).visitor(t, "")
	v.open(setupLink(t, m))
	v.fill("username", "neo")
	v.fill("password", "short")
	v.click("Create account")
	v.sees("A password has 12 to 256 characters")
	v.fill("password", password)
	v.press(kb.Enter)
	v.sees("No satellites yet", "neo")
	v.click("Sign out")
	v.at("/login")
}

// setupLink waits until the log has the link and returns its path.
func setupLink(t *testing.T, m *stack.Mothership) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	link := regexp.MustCompile(`/setup\?token=[A-Za-z0-9]+`)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		data, err := os.ReadFile(m.Log())
		if found := link.Find(data); err == nil && found != nil {
			return string(found)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the log has no set-up link: %v\n%s", err, data)
		case <-tick.C:
		}
	}
}

func TestSignIn(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		v := newVisitor(t, "", options...)
		v.open("/algorithms/fraud/score")
		v.at("/login?next=%2Falgorithms%2Ffraud%2Fscore")
		v.fill("username", "grace")
		v.fill("password", "not the password")
		v.click("Sign in")
		v.sees("The username or the password is wrong.")
		v.fill("password", password)
		v.press(kb.Enter)
		v.at("/algorithms/fraud/score")
		v.click("Sign out")
		v.at("/login")
		v.open("/account")
		v.at("/login?next=%2Faccount")
	})
}

// TestInvite makes an account, hands on the link, and disables the account.
func TestInvite(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		username := "invited-" + digits.ReplaceAllString(nameOf(t), "-")
		ada := newVisitor(t, "ada", options...)
		ada.open("/users")
		ada.click("Invite user")
		ada.fill("username", "not a name")
		ada.click("Invite user")
		ada.sees("A username has 1 to 63 letters")
		ada.fill("username", username)
		ada.choose("role", "operator")
		ada.click("Invite user")
		ada.sees("It works once, for seven days")
		link, err := url.Parse(js[string](ada, "document.getElementById('secret').textContent"))
		if err != nil {
			t.Fatal(err)
		}
		guest := newVisitor(t, "", options...)
		guest.open(link.RequestURI())
		guest.sees("Welcome to Constellation", username)
		guest.fill("password", password)
		guest.click("Choose password")
		guest.at("/")
		guest.open("/account")
		guest.sees("operator: reads")

		ada.click("I have it")
		ada.sees(username)
		ada.click(username)
		ada.at("/users/" + username)
		ada.choose("role", "viewer")
		ada.click("Save role")
		ada.sees("The role is viewer now.")
		ada.click("Disable user")
		ada.sees("what runs keeps running")
		ada.click("Disable")
		ada.sees("signed out everywhere")
		guest.open("/account")
		guest.at("/login?next=%2Faccount")
	})
}

var digits = regexp.MustCompile(`[^a-z]+`)

// TestAPIKey makes a key, sees it once, and revokes it.
func TestAPIKey(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		name := "key of " + nameOf(t)
		v := newVisitor(t, "grace", options...)
		v.open("/account")
		v.click("New API key")
		v.click("Create key")
		v.sees("needs a name")
		v.fill("name", name)
		v.choose("lifetime", "30")
		v.click("Create key")
		v.sees("it is not shown again", "cst_")
		v.click("I have it")
		v.at("/account")
		v.sees(name, "in 30 days")
		v.click("Revoke " + name)
		v.sees("what it installed keeps running")
		v.click("Revoke key")
		v.sees("The key is revoked.", "Revoked")
	})
}

// TestSessions ends another browser's session, and then all of them.
func TestSessions(t *testing.T) {
	w := need(t)
	t.Parallel()
	username := "wanderer"
	if _, err := w.mothership.Administer(t.Context(), password+"\n", "account", "create", username, "--role", "viewer", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	enter := func() *visitor {
		v := newVisitor(t, "")
		v.open("/login")
		v.fill("username", username)
		v.fill("password", password)
		v.press(kb.Enter)
		v.at("/")
		return v
	}
	desk, phone := enter(), enter()
	desk.open("/account")
	desk.sees("This browser", "Chrome")
	desk.click("Sign out Chrome")
	desk.sees("That browser is signed out.")
	phone.open("/account")
	phone.at("/login?next=%2Faccount")
	desk.click("Change password")
	desk.fill("current_password", password)
	desk.fill("new_password", "another good password")
	desk.click("Change password")
	desk.sees("The password is changed")
	desk.click("Sign out everywhere")
	desk.sees("this one too")
	desk.click("Sign out everywhere")
	desk.at("/login")
}

// TestSessionEndsInAForm signs in again in the middle of a form, which is
// still there.
func TestSessionEndsInAForm(t *testing.T) {
	both(t, func(t *testing.T, options ...option) {
		username := "sleeper-" + digits.ReplaceAllString(nameOf(t), "-")
		w := need(t)
		if _, err := w.mothership.Administer(t.Context(), password+"\n", "account", "create", username, "--role", "viewer", "--password-stdin"); err != nil {
			t.Fatal(err)
		}
		v := newVisitor(t, username, options...)
		v.open("/account/keys/new")
		v.fill("name", "typed before")
		admin := newVisitor(t, "ada", options...)
		admin.open("/users/" + username + "/sign-out")
		admin.click("Sign out")
		admin.sees("The user is signed out everywhere.")
		v.click("Create key")
		v.sees("what you typed is kept")
		v.fill("username", username)
		v.fill("password", password)
		v.click("Sign in")
		v.sees("Nothing has been changed yet.")
		v.click("Go on with it")
		v.sees("it is not shown again")
		v.click("I have it")
		v.sees("typed before")
	})
}
