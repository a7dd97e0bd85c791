package panel

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/net/html"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const prefix = "/models/eu"

// nginxConf is a proxy that has the mothership below a prefix, and the registry at
// the root of the host, where docker looks for it.
const nginxConf = `daemon off; master_process off; pid %[1]s/pid; error_log stderr error;
events { worker_connections 256; }
http {
  access_log off; client_body_temp_path %[1]s/a; proxy_temp_path %[1]s/b; fastcgi_temp_path %[1]s/c; uwsgi_temp_path %[1]s/d; scgi_temp_path %[1]s/e;
  server {
    listen %[2]s; client_max_body_size 0; proxy_request_buffering off; proxy_http_version 1.1; proxy_set_header Host $http_host;
    location %[3]s/ { proxy_pass http://%[4]s%[5]s; }
    location = %[3]s { return 308 %[3]s/; }
    location /v2/ { proxy_pass http://%[4]s; }
    location / { return 418; }
  }
}
`

// proxied starts nginx before an address, which takes the prefix off or leaves it.
func proxied(t *testing.T, listen, backend string, strips bool) {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("needs nginx")
	}
	dir, path := t.TempDir(), ""
	if strips {
		path = "/"
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, listen, prefix, backend, path), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-e", "stderr", "-c", conf) //nolint:gosec // a test's own
	said := &waittest.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("nginx says %s", said)
		}
	})
	waittest.Until(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// below starts a mothership below a prefix, behind nginx, with all that a world has,
// whose people sign in by a real provider.
func below(t *testing.T, strips bool) (*world, *provider) {
	t.Helper()
	need(t)
	listen := freeAddress(t)
	at := startProvider(t, "http://"+listen+prefix+"/login/corp/callback")
	m, _ := startMothershipAt(t, "127.0.0.1:0", append(byProvider(t, at.issuer()), "--public-url", "http://"+listen+prefix+"/")...)
	t.Cleanup(func() {
		if err := m.Stop(); err != nil {
			t.Error(err)
		}
	})
	proxied(t, listen, m.Host, strips)
	m.URL, m.Host = "http://"+listen+prefix, listen // from here on all goes through the proxy
	w := &world{mothership: m, bin: house.world.bin, url: m.URL, host: m.Host, admin: "ada", sessions: map[string]*http.Cookie{}}
	if err := w.fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, at
}

// TestBelowAPrefix uses a mothership below a path of another host, by each of its
// surfaces, through a real nginx.
func TestBelowAPrefix(t *testing.T) {
	t.Parallel()
	for name, strips := range map[string]bool{"stripped": true, "kept": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, at := below(t, strips)
			t.Run("links", func(t *testing.T) { w.everyLink(t) })
			t.Run("rest", func(t *testing.T) { w.restBelow(t) })
			t.Run("installer", func(t *testing.T) { w.installFrom(t) })
			t.Run("browser", func(t *testing.T) { w.browseBelow(t) })
			t.Run("single sign-on", func(t *testing.T) { w.signOnBelow(t, at) })
		})
	}
}

// everyLink looks at every view: each address that it has lies below the prefix.
func (w *world) everyLink(t *testing.T) {
	seen := map[string]bool{}
	for _, view := range views(w) {
		status, page := w.fetch(t, view.who, view.path)
		if status >= http.StatusInternalServerError {
			t.Errorf("%s answers %d", view.path, status)
		}
		for z := html.NewTokenizer(strings.NewReader(page)); z.Next() != html.ErrorToken; {
			token := z.Token()
			for _, a := range token.Attr {
				if a.Key == "value" || a.Key == "placeholder" || !strings.HasPrefix(a.Val, "/") {
					continue // what a field holds is ours, and is read as such
				}
				if !strings.HasPrefix(a.Val, prefix+"/") && !typedPath[a.Key] {
					t.Errorf("%s has %s=%q in <%s>", view.path, a.Key, a.Val, token.Data)
				} else if strings.HasPrefix(a.Val, prefix+prefix) {
					t.Errorf("%s has the prefix twice: %s=%q", view.path, a.Key, a.Val)
				}
				if at, _, _ := strings.Cut(a.Val, "#"); token.Data == "a" && a.Key == "href" && view.who == "ada" && status < http.StatusBadRequest { // a wrong search keeps what else is wrong in it
					seen[at] = true
				}
			}
		}
	}
	for at := range seen {
		if status, _ := w.fetch(t, "ada", strings.TrimPrefix(at, prefix)); status >= http.StatusBadRequest {
			t.Errorf("a link to %s answers %d", at, status)
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d links were followed", len(seen))
	}
}

// typedPath are attributes that show a path of somebody else's, such as one in a container.
var typedPath = map[string]bool{"title": true, "data-copy": true, "data-empty": true}

// fetch gets a page as somebody who is signed in.
func (w *world) fetch(t *testing.T, who, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		cookie, err := w.session(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		if cookie.Path != prefix {
			t.Fatalf("the session's cookie has the path %q", cookie.Path)
		}
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value}) //nolint:gosec // a request's
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func (w *world) restBelow(t *testing.T) {
	get := func(path string, into any) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+w.key)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil || answer.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", path, answer.Status, err)
		}
		return answer
	}
	var list struct {
		NextLink string `json:"next_link"`
	}
	get("/v1/satellites?limit=1&sort=name", &list)
	if !strings.HasPrefix(list.NextLink, w.url+"/v1/satellites?") {
		t.Errorf("next_link is %q", list.NextLink)
	}
	get(strings.TrimPrefix(list.NextLink, w.url), &list)
	var document struct{ Servers []struct{ URL string } }
	get("/openapi.json", &document)
	if len(document.Servers) != 1 || document.Servers[0].URL != w.url {
		t.Errorf("the document's servers are %v", document.Servers)
	}
	var ready struct{ Ready bool }
	if get("/readyz", &ready); !ready.Ready {
		t.Error("it is not ready below the prefix")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/v1/satellites/"+w.satellite+"/launches", strings.NewReader(`{"satellite_version":1,"name":"Below"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	var launch apiv1.Launch
	at := answer.Header.Get("Location")
	if !strings.HasPrefix(at, w.url+"/v1/") {
		t.Fatalf("Location is %q", at)
	}
	if get(strings.TrimPrefix(at, w.url), &launch); launch.Name != "Below" {
		t.Errorf("at its Location there is %q", launch.Name)
	}
}

// installFrom downloads a launch by the mothership's address with its prefix.
func (w *world) installFrom(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	dir := t.TempDir()
	out, err := stack.Command{Args: []string{filepath.Join(w.bin, "algo-install"), "satellite", w.satellite, w.launches[0], "get", w.key, "--mothership", w.url, "--deployment-dir", dir}}.Run(ctx)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	told := false
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if info, statErr := os.Stat(path); err == nil && statErr == nil && info.Mode().IsRegular() && info.Size() < 100_000 {
			data, err := os.ReadFile(path) //nolint:gosec // a test's own
			told = told || err == nil && strings.Contains(string(data), `"mothership":{"url":"`+w.url+`"`)
		}
		return nil
	})
	if !told {
		t.Errorf("the plan does not have %s as its mothership\n%s", w.url, out)
	}
}

// browseBelow signs in, makes a satellite with a script and without, finds, follows
// live changes, and signs out.
func (w *world) browseBelow(t *testing.T) {
	v := w.visitor(t, "")
	v.open("/algorithms?q=fraud")
	v.at(prefix + "/login?next=%2Falgorithms%3Fq%3Dfraud")
	v.fill("username", "ada")
	v.fill("password", password)
	v.click("Sign in with a password")
	v.at(prefix + "/algorithms?q=fraud")
	v.click("Constellation")
	v.at(prefix + "/")
	v.fill("q", "Munich") // htmx
	v.at(prefix + "/?q=Munich&sort=-created_at")
	v.sees("Paint shop Munich")
	v.click("Paint shop Munich")
	v.click("New launch instance")
	v.fill("name", "Line 7")
	v.click("Create launch instance")
	v.sees("Created the launch instance Line 7")
	v.open("/")
	v.control("k")
	v.until("document.activeElement.id === 'palette-query'")
	v.do(chromedp.KeyEvent("Payments"))
	v.until("document.querySelector('#palette-found a[aria-selected=\"true\"]')?.innerText.includes('Payments')")
	v.press(kb.Enter)
	v.until("location.pathname.startsWith('" + prefix + "/satellites/')")

	v.open("/")
	v.sees("Payments Europe")
	v.settles()
	if _, err := w.api.CreateSatellite(t.Context(), apiv1.SatelliteCreate{Name: "Came live", Algorithms: []apiv1.SatelliteAlgorithm{{Algorithm: w.score, VanityURL: "a/b", Replicas: 1}}}); err != nil {
		t.Fatal(err)
	}
	v.sees("Came live")

	plain := w.visitor(t, "ada", withoutScript)
	plain.open("/satellites/new")
	plain.fill("name", "Plain")
	plain.click("Create satellite")
	plain.click("Create it empty")
	plain.sees("Created the satellite Plain")
	plain.open("/docs/concepts")
	plain.sees("Concepts")
	v.open("/account/sign-out")
	v.click("Sign out everywhere")
	v.at(prefix + "/login")
}

// signOnBelow signs in by a provider, which sends the browser back below the prefix
// and knows no other way, and out again.
func (w *world) signOnBelow(t *testing.T, at *provider) {
	at.knows(t, map[string]person{"1": {Username: "trinity", Groups: []string{"ops"}}})
	v := w.visitor(t, "")
	v.open("/algorithms?q=fraud")
	v.at(prefix + "/login?next=%2Falgorithms%3Fq%3Dfraud")
	v.click("Sign in with Corp")
	at.signIn(v, "trinity")
	v.at(prefix + "/algorithms?q=fraud")
	v.sees("trinity")
	at.knows(t, map[string]person{"1": {Username: "trinity", Groups: []string{"admins"}}})
	v.again("/users", "Invite user")
	at.knows(t, map[string]person{"1": {Username: "trinity", Disabled: true}})
	v.again("/users", "Sign in with Corp")
	v.at(prefix + "/login?next=%2Fusers")
}
