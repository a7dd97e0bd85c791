package install_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// dockerConfig makes a text the process's docker configuration.
func dockerConfig(t *testing.T, text string) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
	return file
}

// A registry may offer ways to log in that only browsers of a domain have,
// before or beside those that we have, in one header or in several.
func TestPushTakesTheLoginThatItCan(t *testing.T) {
	p := newPrivate(t)
	_, f := gotten(t, p, 3000)
	login(t, p.host, "zion")
	bearer := fmt.Sprintf(`Bearer realm="%s/token",service="private"`, p.URL)
	for i, test := range []struct {
		headers []string
		scheme  string // that is taken, "" for none
	}{
		{[]string{"Negotiate", `Basic realm="private"`}, "Basic"},
		{[]string{`Negotiate, Basic realm="private"`}, "Basic"},
		{[]string{`Negotiate YIIabc+/==, NTLM , basic realm="a, \"b\", Bearer realm=c", charset="UTF-8"`}, "Basic"},
		{[]string{"Negotiate", "NTLM", bearer}, "Bearer"},
		{[]string{"Negotiate, " + bearer}, "Bearer"},
		{[]string{`Basic realm="private", ` + bearer}, "Bearer"},
		{[]string{`Bearer, Basic realm="private"`}, "Basic"},
		{[]string{"Negotiate", `Digest realm="x", nonce="y"`}, ""},
	} {
		var taken atomic.Value
		taken.Store("")
		p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.URL.Path == "/token" {
				fmt.Fprint(w, `{"token":"red pill"}`)
				return
			}
			scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if scheme == "" {
				w.Header()["Www-Authenticate"] = test.headers
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			taken.Store(scheme)
			next.ServeHTTP(w, r)
		})
		configure(t, f, fmt.Sprintf("stage.container_registry=%s/team%d", p.host, i))
		_, err := install.Push(t.Context(), f, pushOptions())
		if test.scheme == "" {
			wantCode(t, err, fault.CodeAuth, "Negotiate or Digest alone")
		} else if err != nil || taken.Load() != test.scheme {
			t.Errorf("%q: logged in by %q, %v; want %s", test.headers, taken.Load(), err, test.scheme)
		}
	}
}

// What 'az acr login' leaves has no password: it pushes, and pods cannot pull
// with it.
func TestIdentityTokensPushAndMakeNoPullSecret(t *testing.T) {
	p := newPrivate(t)
	_, f := gotten(t, p, 3000, "stage.kubernetes.namespace=algorithms")
	file := dockerConfig(t, fmt.Sprintf(`{"auths":{%q:{"auth":%q,"identitytoken":"refresh me"}}}`, p.host,
		base64.StdEncoding.EncodeToString([]byte("00000000-0000-0000-0000-000000000000:"))))
	p.behave(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		switch {
		case r.URL.Path == "/token" && r.Method == http.MethodPost && r.FormValue("grant_type") == "refresh_token" && r.FormValue("refresh_token") == "refresh me":
			fmt.Fprint(w, `{"access_token":"red pill"}`)
		case r.Header.Get("Authorization") != "Bearer red pill":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="private"`, p.URL))
			w.WriteHeader(http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
	mustPush(t, f, pushOptions())
	render := func() error {
		_, err := install.Render(t.Context(), f, install.RenderOptions{Offline: true, Progress: progress.New(io.Discard)})
		return err
	}
	wantCode(t, render(), fault.CodeAuth, p.host, file, "az acr login", "stage.registry.pull_secret=existing:NAME", "stage.registry.pull_secret=none")
	for _, choice := range []string{"none", "existing:mine"} {
		configure(t, f, "stage.registry.pull_secret="+choice)
		if err := render(); err != nil {
			t.Errorf("pull_secret=%s: %v", choice, err)
		}
		secrets, err := filepath.Glob(f.Path("rendered", "*registry-pull*"))
		if err != nil || len(secrets) > 0 {
			t.Errorf("pull_secret=%s renders %q, %v", choice, secrets, err)
		}
	}
	p.behave(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	_, err := install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeAuth, "wants a name and a password", "is a token")
}

// A login that cannot be read is named with its file, and is exit code 6 from
// each verb that needs it.
func TestALoginThatCannotBeRead(t *testing.T) {
	c := newCustomer(t)
	m, f := newMother(t, newKey(t), 1, 1000), folder(t)
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+c.host+"/team", "stage.kubernetes.kubeconfig_path="+anyKubeconfig(t), "stage.kubernetes.namespace=algorithms")
	helpers := t.TempDir()
	if err := os.WriteFile(filepath.Join(helpers, "docker-credential-locked"), []byte("#!/bin/sh\necho 'the keychain is locked'\nexit 1\n"), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	t.Setenv("PATH", helpers+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for _, test := range []struct {
		name, config string
		says         []string
	}{
		{"no helper of the registry", fmt.Sprintf(`{"credHelpers":{%q:"nonesuch"}}`, c.host), []string{"docker-credential-nonesuch", "not installed"}},
		{"no helper of all", `{"credsStore":"nonesuch"}`, []string{"docker-credential-nonesuch", "not installed"}},
		{"a helper that fails", `{"credsStore":"locked"}`, []string{"docker-credential-locked", "the keychain is locked"}},
		{"no JSON", `{"auths":`, []string{"is no docker configuration"}},
		{"no base64", fmt.Sprintf(`{"auths":{%q:{"auth":"%%"}}}`, c.host), []string{"is no docker configuration"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			says := append(test.says, dockerConfig(t, test.config))
			_, err := install.Push(t.Context(), f, pushOptions())
			wantCode(t, err, fault.CodeAuth, says...)
			_, err = install.Doctor(t.Context(), f, nil, progress.New(io.Discard))
			wantCode(t, err, fault.CodeAuth, says...)
			_, err = install.Render(t.Context(), f, install.RenderOptions{Offline: true, Progress: progress.New(io.Discard)})
			wantCode(t, err, fault.CodeAuth, says...)
			_, err = install.Configure(t.Context(), f, []string{"stage.container_registry=" + c.host + "/other"}, true, progress.New(io.Discard))
			wantCode(t, err, fault.CodeAuth, says...)
		})
	}
}

// insecure=false means it: not even a registry of this machine is spoken to in
// plain HTTP.
func TestInsecureFalseIsNeverPlainHTTP(t *testing.T) {
	p := newPrivate(t)
	_, f := gotten(t, p, 1000, "stage.registry.insecure=false")
	login(t, p.host, "zion")
	_, err := install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeNetwork, "does not speak TLS", "stage.registry.insecure=true")
	if n := p.count(""); n != 0 {
		t.Errorf("%d requests in plain HTTP: %q", n, p.requests)
	}
	_, err = install.Configure(t.Context(), f, []string{"stage.container_registry=" + p.host + "/other"}, true, progress.New(io.Discard))
	wantCode(t, err, fault.CodeNetwork, "configure both at once: stage.registry.insecure=true stage.container_registry="+p.host+"/other")
	// An https registry that refuses is not asked again without TLS.
	refuses := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(refuses.Close)
	host := strings.TrimPrefix(refuses.URL, "https://")
	login(t, host, "zion")
	configure(t, f, "stage.container_registry="+host+"/team", "stage.registry.insecure=true")
	_, err = install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeAuth, "refuses the login")
}
