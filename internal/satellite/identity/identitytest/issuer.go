// Package identitytest has issuers of tokens and certificates for tests: real keys,
// real signatures, a real server of the public keys.
package identitytest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// URL is an issuer's name, and Audience whom its tokens are for.
const (
	URL      = "https://login.example.com/"
	Audience = "satellite"
)

// Issuer signs tokens, and serves its public keys. What it does in place of that
// can be changed at any time.
type Issuer struct {
	Server *httptest.Server
	Asked  atomic.Int64

	mu      sync.Mutex
	public  []jose.JSONWebKey
	instead http.HandlerFunc
}

// NewIssuer returns an issuer without keys, by plain HTTP on the loopback address.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{}
	i.Server = httptest.NewServer(i)
	t.Cleanup(i.Server.Close)
	return i
}

// ServeHTTP answers the public keys.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.Asked.Add(1)
	i.mu.Lock()
	instead := i.instead
	i.mu.Unlock()
	if instead != nil {
		instead(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(i.JWKS())
}

// JWKS returns the public keys.
func (i *Issuer) JWKS() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	data, err := json.Marshal(jose.JSONWebKeySet{Keys: i.public})
	if err != nil {
		panic(err) // of public keys that were made here
	}
	return data
}

// Answer has h answer in place of the public keys; nil answers them again.
func (i *Issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.instead = h
}

// Publish makes keys those that are served.
func (i *Issuer) Publish(keys ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.public = nil
	for _, k := range keys {
		i.public = append(i.public, k.Public())
	}
}

// Key is one key that tokens are signed with.
type Key struct {
	ID      string
	Alg     jose.SignatureAlgorithm
	Private crypto.Signer
}

// NewKey returns a key for ES256.
func NewKey(t testing.TB, id string) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{id, jose.ES256, private}
}

// Public returns the key as issuers publish it.
func (k Key) Public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: string(k.Alg), Use: "sig"}
}

// Claims returns what a good token of a subject claims, for an hour from now.
func Claims(subject string, now time.Time) map[string]any {
	return map[string]any{
		"iss": URL, "sub": subject, "aud": []string{"another", Audience},
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// Sign returns a token.
func (k Key) Sign(t testing.TB, claims map[string]any) string {
	t.Helper()
	return SignWith(t, jose.SigningKey{Algorithm: k.Alg, Key: k.Private}, k.ID, claims)
}

// SignWith returns a token that is signed with any key, and says that its ID is
// kid.
func SignWith(t testing.TB, key jose.SigningKey, kid string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		options = options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}
