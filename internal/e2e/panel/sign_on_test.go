package panel

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

// provide starts a mothership whose people sign in by a provider, with an
// administrator and a viewer that have passwords, ada and niobe.
func provide(t *testing.T) (*world, *signontest.Provider) {
	t.Helper()
	need(t)
	at := signontest.New(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(signontest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m, _ := startMothershipAt(t, "127.0.0.1:0", "--oidc-issuer", at.Issuer(), "--oidc-name", "corp", "--oidc-label", "Corp", "--oidc-refresh", "1s",
		"--oidc-client-id", signontest.ClientID, "--oidc-client-secret-file", secret, "--oidc-role", "admin=admins,operator=ops")
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
	return &world{url: m.URL, host: m.Host, mothership: m, sessions: map[string]*http.Cookie{}}, at
}

// again opens a page until it shows a text, as the provider is asked now and then.
func (v *visitor) again(path, text string) {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, timeout)
	defer cancel()
	for {
		v.open(path)
		v.settles()
		if js[bool](v, "document.body.innerText.includes('"+text+"')") {
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
	w, at := provide(t)
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
