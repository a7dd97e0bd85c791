package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/satellite/tlsserve"
)

// jwtRoutes are routes of an engine that takes an issuer's tokens.
func jwtRoutes(issuer *identitytest.Issuer, routes ...config.Route) config.Routes {
	return config.Routes{Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: routes, Auth: config.Auth{JWT: &config.JWT{
		Issuer: identitytest.URL, Audience: []string{identitytest.Audience}, JWKSURL: issuer.Server.URL, AlgorithmsClaim: "algorithms",
	}}}
}

func tokenFor(t *testing.T, key identitytest.Key, subject string, algorithms ...string) string {
	t.Helper()
	claims := identitytest.Claims(subject, time.Now())
	claims["algorithms"] = algorithms
	return "Bearer " + key.Sign(t, claims)
}

// TestTokensBesideKeys: a token calls what its claim lists, by the event loop as by
// net/http; what is refused is refused as a key is.
func TestTokensBesideKeys(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string]Options{"event loop": {}, "net/http": {NoFastPath: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
			issuer.Publish(key)
			replica := newStrict(t, nil)
			e := startEngineWith(t, opts, jwtRoutes(issuer, lsRoute("foo/bar", replica.addr), lsRoute("foo/baz", replica.addr)))
			for _, test := range []struct {
				name, auth, path string
				status           int
				message          string
			}{
				{"a key", "Simple " + testKey, "/v1/algo/foo/bar", 200, ""},
				{"a token", tokenFor(t, key, "ann", "foo/bar"), "/v1/algo/foo/bar", 200, ""},
				{"a token where clients put their key", strings.Replace(tokenFor(t, key, "ann", "foo/*"), "Bearer", "Simple", 1), "/v1/algo/foo/bar", 200, ""},
				{"a token for another algorithm", tokenFor(t, key, "ann", "foo/bar"), "/v1/algo/foo/baz", 403, `the caller "ann" may not call algo://foo/baz`},
				{"a token for what is not there", tokenFor(t, key, "ann", "foo/bar"), "/v1/algo/foo/none", 403, `the caller "ann" may not call`},
				{"a forged token", tokenFor(t, identitytest.NewKey(t, "one"), "ann", "*"), "/v1/algo/foo/bar", 401, "signature is not its issuer's"},
				{"an unknown key", "Simple nonsense", "/v1/algo/foo/bar", 401, "this API key is not known to this satellite"},
				{"nothing", "-", "/v1/algo/foo/bar", 401, "authorization required"},
			} {
				got := e.do(request{auth: test.auth, path: test.path, body: `"x"`})
				if got.status != test.status || !strings.Contains(got.body, test.message) && !strings.Contains(got.body, strings.ReplaceAll(test.message, `"`, `\"`)) {
					t.Errorf("%s: %d %s, want %d …%s…", test.name, got.status, got.body, test.status, test.message)
				}
			}
			eventually(t, "the access log has the subject", func() bool {
				e.Engine.access.Flush()
				return strings.Contains(e.access.String(), `"subject":"ann"`)
			})
			if strings.Contains(e.access.String(), "eyJ") {
				t.Errorf("the access log has a token:\n%s", e.access)
			}
		})
	}
}

// TestATokensNewKey: a token of a key that is not known yet waits until the keys
// were fetched.
func TestATokensNewKey(t *testing.T) {
	t.Parallel()
	issuer, one := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	hold := make(chan struct{})
	issuer.Answer(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
			_, _ = w.Write(issuer.JWKS())
		case <-r.Context().Done():
		}
	})
	issuer.Publish(one)
	e := startEngineWith(t, Options{}, jwtRoutes(issuer, lsRoute("foo/bar", newStrict(t, nil).addr)))
	got := make(chan response, 1)
	eventually(t, "the first attempt goes on", func() bool { return issuer.Asked.Load() > 0 })
	go func() { got <- e.do(request{auth: tokenFor(t, one, "ann", "*"), body: `"x"`}) }()
	close(hold)
	if r := <-got; r.status != 200 && r.status != 503 {
		t.Errorf("a call while the keys come: %d %s, want 200, or 503 to try again", r.status, r.body)
	}
	if r := e.do(request{auth: tokenFor(t, one, "ann", "*"), body: `"x"`}); r.status != 200 {
		t.Errorf("a call once the keys are there: %d %s", r.status, r.body)
	}
}

// TestIdentitiesHaveRates: all tokens of a subject share one rate, and nobody
// else's.
func TestIdentitiesHaveRates(t *testing.T) {
	t.Parallel()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	e := startEngineWith(t, Options{KeyRate: constellation.KeyRate{PerSecond: 0.001, Burst: 2}}, jwtRoutes(issuer, lsRoute("foo/bar", newStrict(t, nil).addr)))
	for i, want := range []int{200, 200, 429} {
		claims := identitytest.Claims("ann", time.Now().Add(-time.Duration(i)*time.Second))
		claims["algorithms"] = "*"
		if got := e.do(request{auth: "Bearer " + key.Sign(t, claims), body: `"x"`}); got.status != want {
			t.Errorf("call %d = %d %s, want %d", i, got.status, got.body, want)
		}
	}
	if got := e.do(request{auth: tokenFor(t, key, "bob", "*"), body: `"x"`}); got.status != 200 {
		t.Errorf("another subject's call = %d %s, want 200", got.status, got.body)
	}
}

// serveTLS returns the options of an engine that serves TLS.
func serveTLS(t *testing.T, authority *identitytest.Authority) tlsserve.Address {
	t.Helper()
	dir := t.TempDir()
	o := tlsserve.Address{Listen: "127.0.0.1:0", CertFile: filepath.Join(dir, config.TLSCertFile), KeyFile: filepath.Join(dir, config.TLSKeyFile)}
	certificate, key := authority.Issue(t, nil, "engine.example")
	for path, data := range map[string][]byte{o.CertFile: certificate, o.KeyFile: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// secureEngine is an engine that serves TLS, takes client certificates, and is
// called with them.
func secureEngine(t *testing.T, rules ...config.ClientRule) (e *testEngine, server, clients *identitytest.Authority, url string) {
	t.Helper()
	server, clients = identitytest.NewAuthority(t, "server"), identitytest.NewAuthority(t, "clients")
	authorities := filepath.Join(t.TempDir(), config.ClientCAFile)
	if err := os.WriteFile(authorities, clients.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	replica := newStrict(t, nil)
	e = startEngineWith(t, Options{TLS: serveTLS(t, server)},
		config.Routes{
			Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: []config.Route{lsRoute("foo/bar", replica.addr), lsRoute("foo/baz", replica.addr)},
			Auth: config.Auth{ClientCA: &config.ClientCA{File: authorities, Rules: rules}},
		})
	return e, server, clients, "https://" + e.secure.Load().Addr().String()
}

// callTLS makes a call by TLS and returns its status, or 0 when the handshake
// fails.
func callTLS(ctx context.Context, url, auth string, config *tls.Config) (status int, proto string, err error) {
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader([]byte(`"x"`)))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	if auth != "" {
		request.Header.Set("Authorization", auth)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Proto, err
}

// TestClientCertificates: whoever shows a certificate of the authorities calls
// without a key; one that is not good is no caller.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	e, server, clients, url := secureEngine(t, config.ClientRule{Name: "robot.example", Algorithms: []string{"foo/bar"}})
	other := identitytest.NewAuthority(t, "other")
	expired := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	}
	for _, test := range []struct {
		name, auth, path string
		certificates     []tls.Certificate
		want             int
	}{
		{"a certificate", "", "foo/bar", []tls.Certificate{clients.Pair(t, nil, "robot.example")}, 200},
		{"a certificate, what it may not call", "", "foo/baz", []tls.Certificate{clients.Pair(t, nil, "robot.example")}, 403},
		{"a certificate without a rule", "", "foo/bar", []tls.Certificate{clients.Pair(t, nil, "else.example")}, 403},
		{"a key beside a certificate", "Simple " + testKey, "foo/baz", []tls.Certificate{clients.Pair(t, nil, "robot.example")}, 200},
		{"a bad key beside a certificate", "Simple nonsense", "foo/bar", []tls.Certificate{clients.Pair(t, nil, "robot.example")}, 401},
		{"a key", "Simple " + testKey, "foo/baz", nil, 200},
		{"nothing", "", "foo/bar", nil, 401},
		{"an expired certificate", "", "foo/bar", []tls.Certificate{clients.Pair(t, expired, "robot.example")}, 0},
		{"another authority's", "", "foo/bar", []tls.Certificate{other.Pair(t, nil, "robot.example")}, 0},
	} {
		config := &tls.Config{RootCAs: server.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(test.certificates) == 0 {
				return &tls.Certificate{}, nil
			}
			return &test.certificates[0], nil
		}}
		status, proto, err := callTLS(t.Context(), url+"/v1/algo/"+test.path, test.auth, config)
		if status != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%s: %d, %v, want %d", test.name, status, err, test.want)
		}
		if status != 0 && proto != "HTTP/2.0" {
			t.Errorf("%s: %s, want HTTP/2", test.name, proto)
		}
	}
	if got := e.do(request{body: `"x"`}); got.status != 200 {
		t.Errorf("a plain call beside TLS = %d %s", got.status, got.body)
	}
	if got := e.metric("constellation_engine_certificate_current"); got != "1" {
		t.Errorf("the certificate's metric is %q, want 1", got)
	}
}

// TestAsyncCallsOfIdentities: what an identity had made later is its own.
func TestAsyncCallsOfIdentities(t *testing.T) {
	t.Parallel()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	replica := newStrict(t, nil)
	e := startEngineWith(t, Options{QueueDir: t.TempDir()}, jwtRoutes(issuer, lsRoute("foo/bar", replica.addr)))
	e.awaitQueue()
	id := e.void(request{auth: tokenFor(t, key, "ann", "*"), body: "x"})
	eventually(t, "the call has run", func() bool {
		got := e.do(request{method: http.MethodGet, auth: tokenFor(t, key, "ann", "foo/bar"), path: "/v1/async/" + id})
		return strings.Contains(got.body, `"succeeded"`)
	})
	for _, test := range []struct {
		name, auth string
		want       int
	}{
		{"another token of the subject", tokenFor(t, key, "ann", "*"), 200},
		{"another subject", tokenFor(t, key, "bob", "*"), 404},
		{"one who may not call it any more", tokenFor(t, key, "ann", "foo/other"), 404},
	} {
		if got := e.do(request{method: http.MethodGet, auth: test.auth, path: "/v1/async/" + id + "/result"}); got.status != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, got.status, got.body, test.want)
		}
	}
}
