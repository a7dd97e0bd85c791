package install_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/connection"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// thief is a server that a registry or a mothership names, and that has no
// right to what is bound to the other one.
type thief struct {
	*httptest.Server

	mu   sync.Mutex
	seen []string // METHOD PATH with Authorization and the body's length
}

func newThief(t *testing.T, start func(http.Handler) *httptest.Server, next http.Handler) *thief {
	t.Helper()
	x := &thief{}
	x.Server = start(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		x.seen = append(x.seen, fmt.Sprintf("%s %s %q %d bytes", r.Method, r.URL.Path, r.Header.Get("Authorization"), r.ContentLength))
		x.mu.Unlock()
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(x.Close)
	return x
}

func (x *thief) wantNothing(t *testing.T) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.seen) > 0 {
		t.Errorf("%s was asked: %q", x.URL, x.seen)
	}
}

func (x *thief) wantNoCredential(t *testing.T) {
	t.Helper()
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.seen) == 0 {
		t.Errorf("%s was not asked at all", x.URL)
	}
	for _, request := range x.seen {
		if !strings.Contains(request, `""`) {
			t.Errorf("%s got %s", x.URL, request)
		}
	}
}

// secured is a registry behind TLS that wants the login neo:zion, and that may
// answer before the real part behind it does.
func secured(t *testing.T, p *private, front func(w http.ResponseWriter, r *http.Request) bool) (host, ca string) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "neo" || password != "zion" {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !front(w, r) {
			p.Config.Handler.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	host = strings.TrimPrefix(s.URL, "https://")
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pemOf(s.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	login(t, host, "zion")
	return host, ca
}

// located sends the answers of the registry behind it with a Location at
// another server.
func located(p *private, to string, methods ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(strings.Join(methods, " "), r.Method) || strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		answer := httptest.NewRecorder()
		p.Config.Handler.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		if location := answer.Header().Get("Location"); location != "" {
			w.Header().Set("Location", to+location)
		}
		w.WriteHeader(answer.Code)
		_, _ = io.Copy(w, answer.Body)
		return true
	}
}

// redirected sends requests of some methods on.
func redirected(to string, status int, methods ...string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(strings.Join(methods, " "), r.Method) || r.URL.Path == "/v2/" {
			return false
		}
		w.Header().Set("Location", to+r.URL.RequestURI())
		w.WriteHeader(status)
		return true
	}
}

// An https registry that names plain HTTP for an upload, in a Location or in a
// redirect, gets told so and nothing is sent there: not from push, and not from
// doctor.
func TestPushNeverLeavesTLS(t *testing.T) {
	p := newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	x := newThief(t, httptest.NewServer, p.Config.Handler)
	for name, front := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"Location of an upload":   located(p, x.URL, "POST"),
		"redirect of a look":      redirected(x.URL, http.StatusTemporaryRedirect, "HEAD"),
		"redirect of a beginning": redirected(x.URL, http.StatusTemporaryRedirect, "POST"),
		"redirect of the bytes":   redirected(x.URL, http.StatusTemporaryRedirect, "PUT", "PATCH"),
		"redirect with 308":       redirected(x.URL, http.StatusPermanentRedirect, "POST"),
	} {
		t.Run(name, func(t *testing.T) {
			host, ca := secured(t, p, front)
			configure(t, f, "stage.container_registry="+host+"/team", "stage.registry.ca_file="+ca, "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
			_, err := install.Push(t.Context(), f, pushOptions())
			if err == nil || !strings.Contains(err.Error(), x.URL) {
				t.Errorf("Push error %v does not name %s", err, x.URL)
			}
			x.wantNothing(t)
			_, err = install.Doctor(t.Context(), f, nil, progress.New(io.Discard))
			wantCode(t, err, fault.CodePreflight)
			if strings.Contains(name, "Location") || strings.Contains(name, "beginning") {
				wantCode(t, err, fault.CodePreflight, "✗ registry", x.URL)
			}
			x.wantNothing(t)
		})
	}
}

// Another port or host that a registry names for its uploads, as those on
// object storage do, gets the bytes and no login.
func TestPushSendsTheLoginToTheRegistryAlone(t *testing.T) {
	p := newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 30_000), folder(t)
	mustGet(t, f, m.options())
	x := newThief(t, httptest.NewTLSServer, p.Config.Handler)
	host, ca := secured(t, p, located(p, x.URL, "POST"))
	both, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ca, append(both, pemOf(x.Certificate().Raw)...), 0o600); err != nil {
		t.Fatal(err)
	}
	configure(t, f, "stage.container_registry="+host+"/team", "stage.registry.ca_file="+ca)
	mustPush(t, f, pushOptions())
	x.wantNoCredential(t)

	wanting := newThief(t, httptest.NewTLSServer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="give it to me"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	host, ca = secured(t, p, located(p, wanting.URL, "POST"))
	configure(t, f, "stage.container_registry="+host+"/other", "stage.registry.ca_file="+ca)
	_, err = install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeAuth, wanting.URL, "goes nowhere else")
	wanting.wantNoCredential(t)
}

// The token server of an https registry is reached by https.
func TestTokensAreFetchedByTLS(t *testing.T) {
	p := newPrivate(t)
	_, f := gotten(t, p, 1000)
	x := newThief(t, httptest.NewServer, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"x"}`) }))
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="private"`, x.URL))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "https://")
	login(t, host, "zion")
	configure(t, f, "stage.container_registry="+host+"/team", "stage.registry.insecure=true") // a certificate that is not checked is still TLS
	_, err := install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeNetwork, x.URL, "in clear")
	x.wantNothing(t)
}

// The admin key goes to the mothership's address alone. What its registry
// keeps elsewhere is fetched from there without it, and by TLS.
func TestGetSendsTheKeyToTheMothershipAlone(t *testing.T) {
	t.Parallel()
	m := newMother(t, newKey(t), 1, 30_000)
	blobs := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+goodKey)
		m.serve(w, r)
	})
	clear, other := newThief(t, httptest.NewServer, blobs), newThief(t, httptest.NewTLSServer, blobs)
	get := func(to string, content bool) error {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/v2/") != content {
				m.serve(w, r)
				return
			}
			w.Header().Set("Location", to+r.URL.RequestURI())
			w.WriteHeader(http.StatusTemporaryRedirect)
		}))
		t.Cleanup(s.Close)
		o := m.options()
		o.Mothership, o.TLS = s.URL, connection.TLS{Insecure: true}
		_, err := install.Get(t.Context(), folder(t), o)
		return err
	}
	wantCode(t, get(clear.URL, false), fault.CodeNetwork, "not sent on", clear.URL, "not encrypted")
	wantCode(t, get(other.URL, false), fault.CodeNetwork, "not sent there", "--mothership "+other.URL)
	wantCode(t, get(clear.URL, true), fault.CodeNetwork, "without TLS", clear.URL)
	clear.wantNothing(t)
	other.wantNothing(t)
	if err := get(other.URL, true); err != nil {
		t.Errorf("Get of blobs that are kept elsewhere: %v", err)
	}
	other.wantNoCredential(t)
}

// A journal of uploads that came with a folder names no other server.
func TestPushGoesOnOnlyAtTheRegistryItself(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	x := newThief(t, httptest.NewServer, http.NotFoundHandler())
	journal := fmt.Sprintf(`{"team/satellite-%s@%s":%q}`, satelliteID, m.layers[0], x.URL+"/v2/team/blobs/uploads/1")
	name := "uploads-" + strings.NewReplacer(":", "_", "/", "_").Replace(p.host+"/team") + ".json"
	if err := os.WriteFile(f.Path("work", name), []byte(journal), 0o600); err != nil {
		t.Fatal(err)
	}
	wantPulled(t, mustPush(t, f, pushOptions()))
	x.wantNothing(t)
}
