package panel

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// provide starts a mothership whose people sign in by a provider, with an
// administrator and a viewer that have passwords, ada and niobe.
func provide(t *testing.T, address, issuer string) *world {
	t.Helper()
	m, _ := startMothershipAt(t, address, byProvider(t, issuer)...)
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	for name, role := range map[string]string{"ada": "admin", "niobe": "viewer"} {
		if _, err := m.Administer(t.Context(), password+"\n", "account", "create", name, "--role", role, "--password-stdin"); err != nil {
			t.Fatal(err)
		}
	}
	return &world{url: m.URL, host: m.Host, mothership: m, sessions: map[string]*http.Cookie{}}
}

// again opens a page until it shows a text, as the provider is asked now and then.
func (v *visitor) again(path, text string) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	for {
		v.open(path)
		v.settles()
		if js[bool](v, fmt.Sprintf("document.body.innerText.includes(%q)", text)) {
			return
		}
		select {
		case <-ctx.Done():
			v.Fatalf("%s never shows %q\n%s", path, text, v.describe())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// TestSingleSignOn signs in by a provider: a first time, with another group, when
// disabled there; moves somebody to it; and comes in without it when it is down.
func TestSingleSignOn(t *testing.T) {
	t.Parallel()
	need(t)
	at := signontest.New(t)
	w := provide(t, "127.0.0.1:0", at.Issuer())
	at.Person("1", "trinity", nil, "ops")
	v := w.visitor(t, "", withoutScript)
	v.open("/algorithms")
	v.at("/login?next=%2Falgorithms")
	v.click("Sign in with Corp")
	v.at("/algorithms")
	v.sees("trinity")
	at.Person("1", "trinity", nil, "admins")
	v.again("/users", "Invite user")
	at.Refuse("1", true)
	v.again("/users", "Sign in with Corp")
	at.Refuse("1", false)

	admin := w.visitor(t, "ada")
	admin.open("/users/niobe")
	admin.choose("provider", "corp")
	admin.click("Save sign-in")
	admin.sees("the groups at Corp give it")
	at.Person("2", "niobe", nil, "ops")
	moved := w.visitor(t, "")
	moved.open("/login")
	moved.click("Sign in with Corp")
	moved.sees("niobe")

	at.Server.Close()
	local := w.visitor(t, "")
	local.open("/login")
	local.fill("username", "ada")
	local.fill("password", password)
	local.click("Sign in with a password")
	local.sees("ada")
	local.at("/")
}

// TestSingleSignOnByARealProvider goes through a provider that others wrote, with its
// own page on another site: a first sign-in makes the account; another group, none and
// an end of it there count at the next refresh; and while it is down people go on, and
// an administrator comes in by a password.
func TestSingleSignOnByARealProvider(t *testing.T) {
	t.Parallel()
	need(t)
	address := freeAddress(t)
	at := startProvider(t, "http://"+address+"/login/corp/callback")
	w := provide(t, address, at.issuer())
	trinity := func(p person) { p.Username = "trinity"; at.knows(t, map[string]person{"1": p}) }
	admin := w.visitor(t, "ada")

	trinity(person{Groups: []string{"staff", "ops"}})
	v := w.visitor(t, "")
	v.open("/algorithms")
	v.at("/login?next=%2Falgorithms")
	v.click("Sign in with Corp")
	at.signIn(v, "trinity")
	v.at("/algorithms")
	v.sees("trinity")
	admin.open("/users/trinity")
	admin.sees("the groups at Corp give it")
	admin.open("/users")
	admin.until("[...document.querySelectorAll('tr')].some((row) => /trinity[^]*operator/i.test(row.innerText))")

	trinity(person{Groups: []string{"staff", "admins"}})
	v.again("/users", "Invite user")
	trinity(person{Groups: []string{"staff"}})
	v.again("/users", "Sign in with Corp")
	v.click("Sign in with Corp")
	at.signIn(v, "trinity")
	v.sees("Corp knows you, and none of your groups has a role here; ask an administrator")

	trinity(person{Groups: []string{"ops"}})
	v.click("Sign in with Corp")
	at.signIn(v, "trinity")
	v.at("/")
	trinity(person{Groups: []string{"ops"}, Disabled: true})
	v.again("/algorithms", "Sign in with Corp")
	v.click("Sign in with Corp")
	at.signIn(v, "trinity")
	v.sees("username or password wrong")
	admin.open("/users")
	admin.sees("Ended at the provider")

	trinity(person{Groups: []string{"ops"}})
	v.open("/login/corp?next=%2Falgorithms")
	at.signIn(v, "trinity")
	v.at("/algorithms")
	at.kill()
	local := w.visitor(t, "")
	local.again("/login", "Corp cannot be used at the moment, and the mothership's log says why; try again later, or sign in with a password if you have one here")
	local.fill("username", "ada")
	local.fill("password", password)
	local.click("Sign in with a password")
	local.at("/")
	local.sees("ada")
	v.open("/algorithms")
	v.sees("trinity")

	at.start(t)
	back := w.visitor(t, "")
	back.again("/login", "Sign in with Corp")
	back.click("Sign in with Corp")
	at.signIn(back, "trinity")
	back.sees("trinity")
	back.at("/")
}
