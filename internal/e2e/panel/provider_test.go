package panel

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/signon/signontest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// provider is a real provider of OpenID Connect, as a process: see
// testdata/provider. It is on another site than the mothership.
type provider struct {
	host     string // with its port
	people   string // the file of whom it knows
	redirect string
	kill     func() // as kill -9 does
}

// person is somebody whom a provider knows, whose password is that of all.
type person struct {
	Username, Password string
	Groups             []string
	Disabled           bool
}

// buildProvider compiles the provider, whose module is not that of the mothership.
var buildProvider = sync.OnceValues(func() (string, error) {
	program := filepath.Join(house.dir, "provider")
	build := exec.Command("go", "build", "-o", program, ".") //nolint:gosec // a test's own
	build.Dir = filepath.FromSlash("../testdata/provider")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the provider: %w\n%s", err, out)
	}
	return program, nil
})

// startProvider starts a provider that knows nobody, and sends browsers back to one
// address alone.
func startProvider(t *testing.T, redirect string) *provider {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{host: "localhost:" + port, people: filepath.Join(t.TempDir(), "people.json"), redirect: redirect}
	p.knows(t, nil)
	p.start(t)
	return p
}

func (p *provider) issuer() string { return "http://" + p.host }

// start starts the provider, perhaps again, until the test ends.
func (p *provider) start(t *testing.T) {
	t.Helper()
	program, err := buildProvider()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-listen", p.host, "-people", p.people, "-client", signontest.ClientID+":"+signontest.ClientSecret, "-redirect", p.redirect) //nolint:gosec // a test's own
	said := &waittest.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if _, err := cmd.StdinPipe(); err != nil { // with which it ends
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // "signal: killed"
	})
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the provider says\n%s", said)
		}
	})
	waittest.Until(t, "the provider answers", func() bool {
		answer, err := http.Get(p.issuer() + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// knows changes whom the provider knows, by their subjects.
func (p *provider) knows(t *testing.T, people map[string]person) {
	t.Helper()
	for subject, who := range people {
		who.Password, who.Groups = password, append([]string{}, who.Groups...)
		people[subject] = who
	}
	data, err := json.Marshal(people)
	if err == nil {
		err = os.WriteFile(p.people+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(p.people+".new", p.people)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// signIn signs in at the provider, whose page the visitor comes to.
func (p *provider) signIn(v *visitor, username string) {
	v.Helper()
	v.until(fmt.Sprintf("location.host === %q", p.host))
	v.fill("username", username)
	v.fill("password", password)
	v.click("Login")
}

// byProvider are the settings of people who sign in by a provider.
func byProvider(t *testing.T, issuer string) []string {
	t.Helper()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(signontest.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{
		"--oidc-issuer", issuer, "--oidc-name", "corp", "--oidc-label", "Corp", "--oidc-refresh", "1s",
		"--oidc-client-id", signontest.ClientID, "--oidc-client-secret-file", secret, "--oidc-role", "admin=admins,operator=ops",
	}
}

// freeAddress is an address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}
