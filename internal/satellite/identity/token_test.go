package identity

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/identity/identitytest"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// clock is a time that a test moves.
type clock struct{ at atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.at.Store(time.Now().Unix())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(c.at.Load(), 0) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d / time.Second)) }

// fixture is identities with an issuer, whose keys are fetched when a test says so.
type fixture struct {
	*Identities
	clock *clock
	log   *waittest.Buffer
	t     *testing.T
}

func start(t *testing.T, kept string, clock *clock, auth config.Auth) *fixture {
	t.Helper()
	log := &waittest.Buffer{}
	f := &fixture{clock: clock, log: log, t: t, Identities: New(Options{
		Dir: filepath.Dir(kept), Now: clock.now, Log: slog.New(slog.NewTextHandler(log, nil)),
		Store: func() (Store, error) { return File(kept), nil },
	})}
	f.Apply(auth)
	return f
}

func tokensOf(url string) config.Auth {
	return config.Auth{JWT: &config.JWT{Issuer: identitytest.URL, Audience: []string{identitytest.Audience}, JWKSURL: url}}
}

// renew makes one attempt to fetch the keys.
func (f *fixture) renew() { f.issuer.Load().renew(f.t.Context()) }

// refused holds a token to be refused with a sentence that has want in it; "" is
// for one that is taken.
func (f *fixture) refused(what, token, want string) {
	f.t.Helper()
	who, err := f.Token([]byte(token), f.clock.now())
	refusal, _ := errors.AsType[*Refusal](err)
	switch {
	case want == "" && (err != nil || who.ID == ""):
		f.t.Errorf("%s: %v, want it taken", what, err)
	case want != "" && (refusal == nil || !strings.Contains(refusal.Message, want)):
		f.t.Errorf("%s: %v, want it refused: …%s…", what, err, want)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	issuer, key, other := identitytest.NewIssuer(t), identitytest.NewKey(t, "one"), identitytest.NewKey(t, "one")
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rs, edKey := identitytest.Key{ID: "rsa", Alg: jose.RS256, Private: private}, identitytest.Key{ID: "ed", Alg: jose.EdDSA, Private: ed}
	issuer.Publish(key, rs, edKey)
	f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), tokensOf(issuer.Server.URL))
	f.refused("before the keys are known", key.Sign(t, identitytest.Claims("ann", f.clock.now())), "are not known to this satellite")
	f.renew()

	now := f.clock.now()
	claims := func(change func(map[string]any)) string {
		c := identitytest.Claims("ann", now)
		change(c)
		return key.Sign(t, c)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	shared := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	good := identitytest.Claims("ann", now)
	parts := strings.Split(key.Sign(t, good), ".")
	b64 := base64.RawURLEncoding.EncodeToString
	for _, test := range []struct{ name, token, want string }{
		{"ES256", key.Sign(t, good), ""},
		{"RS256", rs.Sign(t, good), ""},
		{"EdDSA", edKey.Sign(t, good), ""},
		{"one audience, as a text", claims(func(c map[string]any) { c["aud"] = identitytest.Audience }), ""},
		{"no kid, and one key fits", identitytest.SignWith(t, jose.SigningKey{Algorithm: jose.ES256, Key: key.Private}, "", good), ""},
		{"alg none", b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", `signed by "none"`},
		{"alg None with a kid", b64([]byte(`{"alg":"None","kid":"one"}`)) + "." + parts[1] + ".", `signed by "None"`},
		{"HS256 with the public key as secret", identitytest.SignWith(t, jose.SigningKey{Algorithm: jose.HS256, Key: shared}, "rsa", good), `signed by "HS256"`},
		{"PS256 with a key for RS256", identitytest.SignWith(t, jose.SigningKey{Algorithm: jose.PS256, Key: private}, "rsa", good), "does not have"},
		{"another's key of the same ID", other.Sign(t, good), "signature is not its issuer's"},
		{"an unknown kid", identitytest.NewKey(t, "two").Sign(t, good), `the key "two"`},
		{"changed claims", parts[0] + "." + b64([]byte(`{"sub":"root"}`)) + "." + parts[2], "signature is not"},
		{"expired", claims(func(c map[string]any) { c["exp"] = now.Add(-61 * time.Second).Unix() }), "expired on"},
		{"expired within the leeway", claims(func(c map[string]any) { c["exp"] = now.Add(-59 * time.Second).Unix() }), ""},
		{"no exp", claims(func(c map[string]any) { delete(c, "exp") }), "never expires"},
		{"exp of another type", claims(func(c map[string]any) { c["exp"] = "tomorrow" }), "cannot be read"},
		{"not valid yet", claims(func(c map[string]any) { c["nbf"] = now.Add(2 * time.Minute).Unix() }), "of the future"},
		{"issued in the future", claims(func(c map[string]any) { c["iat"] = now.Add(2 * time.Minute).Unix() }), "of the future"},
		{"another audience", claims(func(c map[string]any) { c["aud"] = "elsewhere" }), `audience (aud) "elsewhere"`},
		{"no audience", claims(func(c map[string]any) { delete(c, "aud") }), "audience (aud)"},
		{"another issuer", claims(func(c map[string]any) { c["iss"] = "https://evil.example/" }), `issuer (iss) is "https://evil.example/"`},
		{"an issuer that differs by a slash", claims(func(c map[string]any) { c["iss"] = strings.TrimSuffix(identitytest.URL, "/") }), "issuer (iss)"},
		{"no subject", claims(func(c map[string]any) { delete(c, "sub") }), "names no subject"},
		{"a large subject", claims(func(c map[string]any) { c["sub"] = strings.Repeat("x", 1000) }), "names no subject"},
		{"a large token", claims(func(c map[string]any) { c["x"] = strings.Repeat("x", 20<<10) }), "more than 16384 bytes"},
		{"no token at all", "ey..", "cannot be read"},
	} {
		f.refused(test.name, test.token, test.want)
		f.refused(test.name+", again", test.token, test.want)
	}
	if hit := issuer.Asked.Load(); hit != 1 {
		t.Errorf("the issuer was asked %d times, want once: bad tokens do not ask", hit)
	}
}

// Whom a token names is the same for each of its tokens, and what is remembered
// of it expires with it.
func TestATokensIdentity(t *testing.T) {
	t.Parallel()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), tokensOf(issuer.Server.URL))
	f.renew()
	now := f.clock.now()
	id := func(subject string, at time.Time) string {
		who, err := f.Token([]byte(key.Sign(t, identitytest.Claims(subject, at))), now)
		if err != nil || !who.May("foo/bar") || !f.IsOf(who.ID) || !keyring.IsIdentity(who.ID) {
			t.Fatalf("%q: %+v, %v", subject, who, err)
		}
		return who.ID
	}
	if id("ann", now) != id("ann", now.Add(-time.Minute)) || id("ann", now) == id("bob", now) {
		t.Error("an identity is not its subject's alone")
	}
	token := key.Sign(t, identitytest.Claims("line\nbreak\x1b[31m"+strings.Repeat("ü", 100), now))
	who, err := f.Token([]byte(token), now)
	if err != nil || strings.ContainsAny(who.Name, "\n\x1b") || len(who.Name) > maxName || !strings.HasPrefix(who.Name, "line.break.[31m") {
		t.Errorf("the name %q, %v: want it printable and bounded", who.Name, err)
	}
	f.clock.advance(time.Hour + 2*time.Minute)
	f.refused("a token that was taken once", token, "expired on")
	f.Apply(config.Auth{})
	if f.IsOf(who.ID) {
		t.Error("an identity counts though no tokens are taken any more")
	}
	f.refused("without an issuer", token, "takes API keys and no tokens")
}

func TestWhatAClaimLetsCall(t *testing.T) {
	t.Parallel()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	for _, test := range []struct {
		claim, prefix string
		claims        map[string]any
		may           string
	}{
		{"algorithms", "", map[string]any{"algorithms": []any{"foo/bar", "lab/*", 7}}, "foo/bar lab/x lab/x/y"},
		{"algorithms", "", map[string]any{"algorithms": []any{"*"}}, "foo/bar foo/baz lab/x lab/x/y"},
		{"algorithms", "", map[string]any{}, ""},
		{"algorithms", "", map[string]any{"algorithms": []any{}}, ""},
		{"algorithms", "", map[string]any{"algorithms": map[string]any{"foo/bar": true}}, ""},
		{"scope", "algo:", map[string]any{"scope": "openid algo:foo/bar foo/baz algo:"}, "foo/bar"},
		{"realm_access.roles", "", map[string]any{"realm_access": map[string]any{"roles": []any{"lab/*"}}}, "lab/x lab/x/y"},
		{"https://x.example/algorithms", "", map[string]any{"https://x.example/algorithms": "foo/baz"}, "foo/baz"},
		{"algorithms", "", map[string]any{"algorithms": "fo* la*"}, ""},
	} {
		auth := tokensOf(issuer.Server.URL)
		auth.JWT.AlgorithmsClaim, auth.JWT.AlgorithmsPrefix = test.claim, test.prefix
		f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), auth)
		f.renew()
		claims := identitytest.Claims("ann", f.clock.now())
		for name, claim := range test.claims {
			claims[name] = claim
		}
		who, err := f.Token([]byte(key.Sign(t, claims)), f.clock.now())
		if err != nil {
			t.Fatalf("%v: %v", test.claims, err)
		}
		var may []string
		for _, vanity := range []string{"foo/bar", "foo/baz", "lab/x", "lab/x/y"} {
			if who.May(vanity) {
				may = append(may, vanity)
			}
		}
		if got := strings.Join(may, " "); got != test.may {
			t.Errorf("%s %v may call %q, want %q", test.claim, test.claims, got, test.may)
		}
	}
}

// An issuer that is away changes nothing for a week, over restarts too.
func TestTheIssuerIsAway(t *testing.T) {
	t.Parallel()
	issuer, key, clock := identitytest.NewIssuer(t), identitytest.NewKey(t, "one"), newClock()
	issuer.Publish(key)
	kept := filepath.Join(t.TempDir(), "kept")
	f := start(t, kept, clock, tokensOf(issuer.Server.URL))
	f.renew()
	issuer.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for _, wait := range []time.Duration{0, 24 * time.Hour, 5 * 24 * time.Hour} {
		clock.advance(wait)
		f.renew()
		f.refused(fmt.Sprintf("%s later", wait), key.Sign(t, identitytest.Claims("ann", clock.now())), "")
		again := start(t, kept, clock, tokensOf(issuer.Server.URL))
		again.renew()
		again.refused(fmt.Sprintf("%s later, restarted", wait), key.Sign(t, identitytest.Claims("ann", clock.now())), "")
	}
	if n := strings.Count(f.log.String(), "502 Bad Gateway"); n != 1 {
		t.Errorf("the log has the problem %d times, want once:\n%s", n, f.log)
	}
	clock.advance(2 * 24 * time.Hour)
	f.refused("after more than a week", key.Sign(t, identitytest.Claims("ann", clock.now())), "are not known")
	issuer.Answer(nil)
	f.renew()
	f.refused("once it is back", key.Sign(t, identitytest.Claims("ann", clock.now())), "")

	for name, content := range map[string]string{"another issuer's": `{"url":"https://x","issuer":"y","fetched_at":"2026-01-01T00:00:00Z","keys":{}}`, "broken": "{", "empty": ""} {
		if err := os.WriteFile(kept, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		other := start(t, kept, clock, tokensOf(issuer.Server.URL))
		other.renew()
		other.refused(name+" kept keys", key.Sign(t, identitytest.Claims("ann", clock.now())), "")
	}
}

// Answers that are no key set leave the one in force, and are bounded.
func TestBadKeySets(t *testing.T) {
	t.Parallel()
	issuer, key := identitytest.NewIssuer(t), identitytest.NewKey(t, "one")
	issuer.Publish(key)
	f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), tokensOf(issuer.Server.URL))
	f.renew()
	var sent atomic.Int64
	many := `{"keys":[` + strings.TrimSuffix(strings.Repeat(`{"kty":"EC"},`, maxKeys+1), ",") + `]}`
	for _, test := range []struct {
		name, want string
		answer     http.HandlerFunc
	}{
		{"of 100 MB", "more than 262144 bytes", func(w http.ResponseWriter, _ *http.Request) {
			block := []byte(strings.Repeat(" ", 1<<16))
			for range 100 << 4 {
				n, err := w.Write(block)
				if sent.Add(int64(n)); err != nil {
					return
				}
			}
		}},
		{"of too many keys", "101 keys", text(many)},
		{"empty", "no public", text(`{"keys":[]}`)},
		{"of a secret", "no public", text(`{"keys":[{"kty":"oct","kid":"one","k":"c2VjcmV0"}]}`)},
		{"of a private key", "no public", text(`{"keys":[` + string(privateJWK(t)) + `]}`)},
		{"of a small RSA key", "no public", text(`{"keys":[` + string(smallJWK(t)) + `]}`)},
		{"no JSON", "no JWK set", text(`<html>`)},
		{"elsewhere", "leads on to", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/keys", http.StatusFound)
		}},
		{"in circles", "leads on and on", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) }},
	} {
		issuer.Answer(test.answer)
		f.renew()
		if !strings.Contains(f.log.String(), test.want) {
			t.Errorf("a key set %s: the log lacks %q:\n%s", test.name, test.want, f.log)
		}
		f.refused("with a key set "+test.name, key.Sign(t, identitytest.Claims("ann", f.clock.now())), "")
	}
	if n := sent.Load(); n > 20<<20 {
		t.Errorf("%d bytes of a large key set were read", n)
	}
	two := identitytest.NewKey(t, "two")
	issuer.Answer(text(`{"keys":[{"kty":"XX"},7,` + string(jwk(t, two)) + `]}`))
	f.renew()
	f.refused("a key beside bad ones", two.Sign(t, identitytest.Claims("ann", f.clock.now())), "")
	f.refused("of a key that was withdrawn", key.Sign(t, identitytest.Claims("ann", f.clock.now())), "does not have")
}

// A token with a key that is not known has the keys fetched, and many such once.
func TestRotation(t *testing.T) {
	t.Parallel()
	issuer, one, two := identitytest.NewIssuer(t), identitytest.NewKey(t, "one"), identitytest.NewKey(t, "two")
	issuer.Publish(one)
	clock := newClock()
	f := start(t, filepath.Join(t.TempDir(), "kept"), clock, tokensOf(issuer.Server.URL))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	defer func() { stop(); waittest.Receive(t, "the end of Run", ended) }()
	token := func(k identitytest.Key) []byte {
		return []byte(k.Sign(t, identitytest.Claims("ann", clock.now())))
	}
	f.Refresh(ctx)
	if _, err := f.Token(token(one), clock.now()); err != nil {
		t.Fatalf("a token of the first key: %v", err)
	}
	issuer.Publish(two)
	wait := func(want bool) {
		t.Helper()
		_, err := f.Token(token(two), clock.now())
		if refusal, ok := errors.AsType[*Refusal](err); !ok || refusal.Wait != want {
			t.Errorf("a token of an unknown key: %+v, want Wait %v", err, want)
		}
	}
	wait(false) // the keys were fetched just now
	clock.advance(refreshAtMost)
	wait(true)
	f.Refresh(ctx)
	if _, err := f.Token(token(two), clock.now()); err != nil {
		t.Errorf("a token of the new key: %v", err)
	}
	if _, err := f.Token(token(one), clock.now()); err == nil {
		t.Error("a token of the key that was withdrawn is taken")
	}
}

// A slow issuer holds nobody up for longer than they wait.
func TestASlowIssuer(t *testing.T) {
	t.Parallel()
	issuer := identitytest.NewIssuer(t)
	asked, leave := make(chan struct{}, 8), make(chan struct{})
	issuer.Answer(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-leave:
		case <-r.Context().Done():
		}
	})
	f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), tokensOf(issuer.Server.URL))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	waittest.Receive(t, "the first attempt", asked)
	waits, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	f.Refresh(waits)
	if waits.Err() == nil {
		t.Error("Refresh returned before the attempt ended and its caller left")
	}
	stop()
	waittest.Receive(t, "the end of Run while the issuer is slow", ended)
	close(leave)
}

// Metadata services are not asked, whatever name leads there.
func TestMetadataIsNotDialled(t *testing.T) {
	t.Parallel()
	f := start(t, filepath.Join(t.TempDir(), "kept"), newClock(), tokensOf("http://169.254.169.254/keys"))
	f.renew()
	if !strings.Contains(f.log.String(), "metadata") {
		t.Errorf("the log does not say why:\n%s", f.log)
	}
}

// A file of keys is for sites that do not reach the issuer; it does not age.
func TestKeysOfAFile(t *testing.T) {
	t.Parallel()
	issuer, one, two := identitytest.NewIssuer(t), identitytest.NewKey(t, "one"), identitytest.NewKey(t, "two")
	issuer.Publish(one)
	dir := t.TempDir()
	path := filepath.Join(dir, config.JWKSFile)
	write := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(issuer.JWKS())
	auth := config.Auth{JWT: &config.JWT{Issuer: identitytest.URL, Audience: []string{identitytest.Audience}, JWKSFile: config.JWKSFile}}
	f := start(t, filepath.Join(dir, "kept"), newClock(), auth)
	f.clock.advance(1000 * 24 * time.Hour)
	f.refused("of the file", one.Sign(t, identitytest.Claims("ann", f.clock.now())), "")
	write([]byte("{"))
	f.renew()
	f.refused("of the file that was broken since", one.Sign(t, identitytest.Claims("ann", f.clock.now())), "")
	issuer.Publish(two)
	write(issuer.JWKS())
	f.renew()
	f.refused("of the new file", two.Sign(t, identitytest.Claims("ann", f.clock.now())), "")
	f.refused("of the old file", one.Sign(t, identitytest.Claims("ann", f.clock.now())), "does not have")
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(s)) }
}

func jwk(t *testing.T, k identitytest.Key) []byte {
	t.Helper()
	data, err := k.Public().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func privateJWK(t *testing.T) []byte {
	t.Helper()
	data, err := jose.JSONWebKey{Key: identitytest.NewKey(t, "x").Private, KeyID: "one"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func smallJWK(t *testing.T) []byte {
	t.Helper()
	n := new(big.Int).SetBit(big.NewInt(1), 1023, 1)
	data, err := jose.JSONWebKey{Key: &rsa.PublicKey{N: n, E: 65537}, KeyID: "one"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return data
}
