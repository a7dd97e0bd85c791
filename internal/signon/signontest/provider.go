// Package signontest has a provider of OpenID Connect for tests: a real server with
// real keys and signatures, which can be told to misbehave.
package signontest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// ClientID and ClientSecret are of the one program that the provider knows.
const (
	ClientID     = "mothership"
	ClientSecret = "of the mothership"
)

// Provider is a provider. Who signs in is whom Person last named.
type Provider struct {
	Server *httptest.Server

	mu      sync.Mutex
	key     *ecdsa.PrivateKey
	person  map[string]any
	granted map[string]grant // by code and by refresh token
	change  func(claims map[string]any)
	sign    func(claims map[string]any) string // in place of the provider's key
	instead map[string]http.HandlerFunc        // by path
	refused map[string]bool                    // subjects
	asked   map[string]int                     // by path
	no      int
}

type grant struct {
	subject, nonce, challenge, redirect string
	person                              map[string]any
}

// New returns a provider by plain HTTP on the loopback address.
func New(t testing.TB) *Provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{key: key, granted: map[string]grant{}, instead: map[string]http.HandlerFunc{}, refused: map[string]bool{}, asked: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Server.Close)
	return p
}

// Issuer is the provider's name.
func (p *Provider) Issuer() string { return p.Server.URL }

// Person is who signs in from now on, and what is known of a subject at refreshes.
func (p *Provider) Person(subject, username string, more map[string]any, groups ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.person = map[string]any{"sub": subject, "preferred_username": username}
	if groups != nil {
		p.person["groups"] = groups
	}
	maps.Copy(p.person, more)
	for token, g := range p.granted {
		if g.subject == subject {
			g.person = p.person
			p.granted[token] = g
		}
	}
}

// Change is told the claims of each ID token before it is signed; nil ends it.
func (p *Provider) Change(f func(claims map[string]any)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.change = f
}

// Sign signs ID tokens in the provider's place; nil ends it.
func (p *Provider) Sign(f func(claims map[string]any) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sign = f
}

// Instead answers a path in the provider's place; nil ends it.
func (p *Provider) Instead(path string, h http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instead[path] = h
}

// Refuse has refreshes of a subject refused, as of somebody who was disabled.
func (p *Provider) Refuse(subject string, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused[subject] = refused
}

// Asked returns how often a path was asked.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// SignIn goes where a browser is sent, and returns the query that it comes back with.
func (p *Provider) SignIn(t testing.TB, address string) url.Values {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	back, err := answer.Location()
	if err != nil {
		t.Fatalf("the provider sends the browser nowhere (%s): %v", answer.Status, err)
	}
	return back.Query()
}

// ServeHTTP is part of http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked[r.URL.Path]++
	instead := p.instead[r.URL.Path]
	p.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		base := p.Server.URL
		answer(w, http.StatusOK, map[string]any{
			"issuer": base, "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token", "jwks_uri": base + "/keys",
			"userinfo_endpoint": base + "/userinfo", "end_session_endpoint": base + "/leave", "scopes_supported": []string{"openid", "profile", "offline_access"},
		})
	case "/keys":
		answer(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: "1", Algorithm: "ES256", Use: "sig"}}})
	case "/authorize":
		p.authorize(w, r)
	case "/token":
		p.token(w, r)
	case "/userinfo":
		p.userinfo(w, r)
	case "/leave":
		_, _ = fmt.Fprint(w, "signed out at the provider")
	default:
		http.NotFound(w, r)
	}
}

func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.person == nil || q.Get("client_id") != ClientID || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	p.no++
	code := fmt.Sprintf("code-%d", p.no)
	subject, _ := p.person["sub"].(string)
	p.granted[code] = grant{subject, q.Get("nonce"), q.Get("code_challenge"), q.Get("redirect_uri"), p.person}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {p.Server.URL}}.Encode(), http.StatusFound) //nolint:gosec // as a provider does, on the loopback address
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if id, secret, _ := r.BasicAuth(); id != ClientID || secret != url.QueryEscape(ClientSecret) {
		answer(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := r.PostFormValue("code") + r.PostFormValue("refresh_token")
	g, ok := p.granted[key]
	delete(p.granted, key) // each counts once
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if code := r.PostFormValue("grant_type") == "authorization_code"; !ok || p.refused[g.subject] ||
		code && (base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge || r.PostFormValue("redirect_uri") != g.redirect) {
		answer(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	p.no++
	refresh := fmt.Sprintf("refresh-%d", p.no)
	p.granted[refresh] = grant{subject: g.subject, person: g.person}
	now := time.Now()
	claims := map[string]any{"iss": p.Server.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	maps.Copy(claims, g.person)
	if p.change != nil {
		p.change(claims)
	}
	sign := p.sign
	if sign == nil {
		sign = p.ours
	}
	answer(w, http.StatusOK, map[string]any{"access_token": g.subject, "token_type": "Bearer", "refresh_token": refresh, "id_token": sign(claims)})
}

func (p *Provider) userinfo(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer(w, http.StatusOK, p.person)
}

// ours signs by the provider's key.
func (p *Provider) ours(claims map[string]any) string {
	return SignWith(jose.SigningKey{Algorithm: jose.ES256, Key: p.key}, claims)
}

// SignWith signs claims by any key, as the provider's key.
func SignWith(key jose.SigningKey, claims map[string]any) string {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		panic(err) // of a key that a test made
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	return token
}

// Unsigned returns claims as a token by the algorithm "none".
func Unsigned(claims map[string]any) string {
	part := func(v any) string {
		data, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(map[string]any{"alg": "none", "typ": "JWT"}) + "." + part(claims) + "."
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client is gone: nobody to tell
}
