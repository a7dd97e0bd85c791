package signon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/signon"
	"github.com/constellation-serving/constellation/internal/signon/signontest"
)

func settings(at *signontest.Provider) signon.Settings {
	return signon.Settings{
		Name: "corp", Label: "Corp", Issuer: at.Issuer(), ClientID: signontest.ClientID, ClientSecret: signontest.ClientSecret,
		Roles: []signon.RoleRule{{Role: constellation.RoleViewer, Group: "all"}, {Role: constellation.RoleAdmin, Group: "admins"}}, SignUp: true,
	}
}

func provider(t *testing.T, s signon.Settings, now func() time.Time) *signon.Provider {
	t.Helper()
	all, err := signon.New([]signon.Settings{s}, signon.Options{PublicURL: "https://m.example", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return all.All()[0]
}

func callback(q url.Values) signon.Callback {
	return signon.Callback{State: q.Get("state"), Code: q.Get("code"), Issuer: q.Get("iss"), Error: q.Get("error")}
}

// signIn signs in whoever the provider names.
func signIn(t *testing.T, p *signon.Provider, at *signontest.Provider) (*signon.Identity, error) {
	t.Helper()
	address, flow, err := p.Begin(t.Context(), "/")
	if err != nil {
		return nil, err
	}
	c := callback(at.SignIn(t, address))
	if err := p.Check(flow, c); err != nil {
		t.Fatal(err)
	}
	return p.Complete(t.Context(), flow, c)
}

func TestIdentities(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	p := provider(t, settings(at), nil)
	for _, test := range []struct {
		name, username string
		more           map[string]any
		groups         []string
		want           constellation.Role // "" is refused
		says           string             // the username, or why
	}{
		{"the highest role", "neo", nil, []string{"all", "x", "admins"}, "admin", "neo"},
		{"one group as a text", "neo", map[string]any{"groups": "all"}, nil, "viewer", "neo"},
		{"an address", "trinity@corp.example", nil, []string{"all"}, "viewer", "trinity"},
		{"no group with a role", "neo", nil, []string{"x"}, "", "none of your groups has a role"},
		{"groups left out", "neo", nil, nil, "", "did not say which groups"},
		{"too many groups", "neo", map[string]any{"_claim_names": map[string]any{"groups": "src1"}, "_claim_sources": map[string]any{"src1": map[string]any{"endpoint": "https://graph.example"}}}, nil, "", "more groups than Corp puts into a token"},
		{"no username of ours", "né o", nil, []string{"all"}, "", "is no username here"},
		{"a reserved username", "system", nil, []string{"all"}, "", "is no username here"},
		{"no username", "", nil, []string{"all"}, "", "did not say your name"},
	} {
		at.Person("1", test.username, test.more, test.groups...)
		who, err := signIn(t, p, at)
		switch {
		case test.want == "" && (constellation.KindOf(err) != constellation.KindForbidden || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%s: %v, %v, want …%s…", test.name, who, err, test.says)
		case test.want != "" && (err != nil || who.Role != test.want || who.Username != test.says || who.Subject != "1" || who.RefreshToken == ""):
			t.Errorf("%s: %+v, %v, want %s as %s", test.name, who, err, test.says, test.want)
		}
	}
}

// What the ID token lacks is asked for.
func TestUserinfo(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	p := provider(t, settings(at), nil)
	at.Person("1", "neo", nil, "admins")
	at.Change(func(claims map[string]any) { delete(claims, "groups") })
	if who, err := signIn(t, p, at); err != nil || who.Role != constellation.RoleAdmin {
		t.Errorf("groups of userinfo: %+v, %v", who, err)
	}
	at.Change(func(claims map[string]any) { delete(claims, "groups"); claims["sub"] = "2" })
	if who, err := signIn(t, p, at); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("userinfo of somebody else: %+v, %v", who, err)
	}
}

func TestTokensThatDoNotCount(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	at.Person("1", "neo", nil, "admins")
	p := provider(t, settings(at), nil)
	if _, err := signIn(t, p, at); err != nil {
		t.Fatal(err)
	}
	hour := func(claim string, by time.Duration) func(map[string]any) {
		return func(claims map[string]any) {
			claims[claim] = time.Now().Add(by).Unix()
		}
	}
	for want, change := range map[string]func(map[string]any){
		"for the audience":       func(claims map[string]any) { claims["aud"] = "another" },
		"for another program":    func(claims map[string]any) { claims["aud"], claims["azp"] = []string{signontest.ClientID, "b"}, "b" },
		"of the issuer":          func(claims map[string]any) { claims["iss"] = "https://evil.example" },
		"nonce is not ours":      func(claims map[string]any) { claims["nonce"] = "another" },
		"of another sign-in":     func(claims map[string]any) { delete(claims, "nonce") },
		"that expired on":        hour("exp", -time.Hour),
		"of the future":          hour("iat", time.Hour),
		"two clocks is wrong":    hour("nbf", time.Hour),
		"names no subject":       func(claims map[string]any) { claims["sub"] = "" },
		"signature is not by":    nil,
		"is signed by \"none\"":  nil,
		"is signed by \"HS256\"": nil,
	} {
		at.Change(change)
		switch want {
		case "signature is not by":
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			at.Sign(func(claims map[string]any) string {
				return signontest.SignWith(jose.SigningKey{Algorithm: jose.ES256, Key: other}, claims)
			})
		case "is signed by \"none\"":
			at.Sign(signontest.Unsigned)
		case "is signed by \"HS256\"":
			at.Sign(func(claims map[string]any) string {
				return signontest.SignWith(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat("k", 32))}, claims)
			})
		default:
			at.Sign(nil)
		}
		who, err := signIn(t, p, at)
		if constellation.KindOf(err) != constellation.KindForbidden || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v", want, who, err)
		}
	}
}

func TestAnswersOfAnotherSignIn(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	at.Person("1", "neo", nil, "admins")
	now := time.Now()
	p := provider(t, settings(at), func() time.Time { return now })
	address, flow, err := p.Begin(t.Context(), "/x")
	if err != nil {
		t.Fatal(err)
	}
	good := callback(at.SignIn(t, address))
	_, other, err := p.Begin(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*signon.Callback)) signon.Callback {
		c := good
		change(&c)
		return c
	}
	for want, check := range map[string]func() error{
		"this browser began": func() error { return p.Check(other, good) },
		"is of the issuer": func() error {
			return p.Check(flow, with(func(c *signon.Callback) { c.Issuer = "https://evil.example" }))
		},
		"(access_denied)": func() error { return p.Check(flow, with(func(c *signon.Callback) { c.Error = "access_denied" })) },
		"is incomplete":   func() error { return p.Check(flow, with(func(c *signon.Callback) { c.Code = "" })) },
		"used before": func() error {
			_, err := p.Complete(t.Context(), flow, with(func(c *signon.Callback) { c.Code = "x" }))
			return err
		},
		"or has expired": func() error {
			f := flow
			f.Verifier = strings.Repeat("v", 43)
			_, err := p.Complete(t.Context(), f, good)
			return err
		},
	} {
		if err := check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want …%s…", err, want)
		}
	}
	now = now.Add(signon.FlowLifetime)
	if err := p.Check(flow, good); err == nil || !strings.Contains(err.Error(), "longer than 10 min") {
		t.Errorf("a late answer: %v", err)
	}
}

func TestAsk(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	at.Person("1", "neo", nil, "admins")
	p := provider(t, settings(at), nil)
	who, err := signIn(t, p, at)
	if err != nil {
		t.Fatal(err)
	}
	at.Person("1", "neo", nil, "all")
	next, err := p.Ask(t.Context(), who.RefreshToken, "1")
	if err != nil || next.Role != constellation.RoleViewer || next.RefreshToken == who.RefreshToken {
		t.Fatalf("Ask after another group: %+v, %v", next, err)
	}
	at.Instead("/token", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	if _, err := p.Ask(t.Context(), next.RefreshToken, "1"); constellation.KindOf(err) != constellation.KindUnavailable {
		t.Errorf("Ask while the provider is away: %v, want unavailable", err)
	}
	at.Instead("/token", nil)
	at.Refuse("1", true)
	if _, err := p.Ask(t.Context(), next.RefreshToken, "1"); constellation.KindOf(err) != constellation.KindForbidden {
		t.Errorf("Ask about somebody disabled: %v, want forbidden", err)
	}
}

// A provider that is away, leads elsewhere or names what it should not is not used,
// and comes back by itself.
func TestProvidersInTrouble(t *testing.T) {
	t.Parallel()
	const discovery = "/.well-known/openid-configuration"
	for name, h := range map[string]http.HandlerFunc{
		"away": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"elsewhere": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:1"+discovery, http.StatusFound)
		},
		"nonsense": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"too long": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
		"another": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"https://evil.example","authorization_endpoint":"https://evil.example/a","token_endpoint":"https://evil.example/t","jwks_uri":"https://evil.example/k"}`))
		},
		"plain": func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"http://` + r.Host + `","authorization_endpoint":"http://idp.example/a","token_endpoint":"http://idp.example/t","jwks_uri":"http://idp.example/k"}`))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := signontest.New(t)
			at.Person("1", "neo", nil, "admins")
			at.Instead(discovery, h)
			now := time.Now()
			p := provider(t, settings(at), func() time.Time { return now })
			for range 3 {
				if _, err := signIn(t, p, at); constellation.KindOf(err) != constellation.KindUnavailable || p.Describe().Problem == "" {
					t.Errorf("sign-in: %v, problem %q; want unavailable", err, p.Describe().Problem)
				}
			}
			if n := at.Asked(discovery); n != 1 {
				t.Errorf("it was asked %d times at once, want once", n)
			}
			at.Instead(discovery, nil)
			now = now.Add(3 * time.Second)
			if _, err := signIn(t, p, at); err != nil || p.Describe().Problem != "" {
				t.Errorf("sign-in once it is well: %v, problem %q", err, p.Describe().Problem)
			}
		})
	}
}

// TestProviderThatGoesAway: nobody is sent to a provider that went away since it was
// asked what it is, and everybody is once it is back.
func TestProviderThatGoesAway(t *testing.T) {
	t.Parallel()
	const discovery = "/.well-known/openid-configuration"
	at := signontest.New(t)
	at.Person("1", "neo", nil, "admins")
	now := time.Now()
	p := provider(t, settings(at), func() time.Time { return now })
	who, err := signIn(t, p, at)
	if err != nil {
		t.Fatal(err)
	}
	away := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	for _, path := range []string{discovery, "/token"} {
		at.Instead(path, away)
	}
	if _, _, err := p.Begin(t.Context(), "/"); err != nil || at.Asked(discovery) != 1 {
		t.Errorf("a sign-in just after another one: %v, and it was asked %d times, want once", err, at.Asked(discovery))
	}
	now = now.Add(3 * time.Second)
	for range 3 {
		if _, _, err := p.Begin(t.Context(), "/"); constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "sign in with a password") {
			t.Errorf("a sign-in by a provider that is away: %v", err)
		}
	}
	if at.Asked(discovery) != 2 || p.Describe().Problem == "" {
		t.Errorf("it was asked %d times, problem %q; want twice, and one", at.Asked(discovery), p.Describe().Problem)
	}
	at.Instead(discovery, nil)
	now = now.Add(3 * time.Second)
	if _, _, err := p.Begin(t.Context(), "/"); err != nil || p.Describe().Problem != "" {
		t.Errorf("a sign-in once it is back: %v, problem %q", err, p.Describe().Problem)
	}

	at.Instead(discovery, away)
	now = now.Add(3 * time.Second)
	if _, err := p.Ask(t.Context(), who.RefreshToken, "1"); constellation.KindOf(err) != constellation.KindUnavailable || p.Describe().Problem == "" {
		t.Errorf("what a refresh found out: %v, problem %q; want one", err, p.Describe().Problem)
	}
}

func TestSignOutURL(t *testing.T) {
	t.Parallel()
	at := signontest.New(t)
	p := provider(t, settings(at), nil)
	if got := p.SignOutURL("x"); got != "" {
		t.Errorf("SignOutURL before the provider was asked = %q", got)
	}
	if _, _, err := p.Begin(t.Context(), "/"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(p.SignOutURL("x"))
	if err != nil || u.Path != "/leave" || u.Query().Get("id_token_hint") != "x" || u.Query().Get("post_logout_redirect_uri") != "https://m.example/login" {
		t.Errorf("SignOutURL = %v, %v", u, err)
	}
}
