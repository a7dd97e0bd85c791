package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/constellation-serving/constellation/internal/satellite/keyring"
)

// Bounds of an issuer's keys. Verifying with a larger RSA key would take an event
// loop's time from other callers.
const (
	maxKeySet  = 256 << 10
	maxKeys    = 100
	minRSABits = 2048
	maxRSABits = 8192
)

// maxVerified is how many verified tokens are remembered.
const maxVerified = 10_000

// keySet is an issuer's keys as they were fetched once. It never changes; what was
// verified with it goes with it.
type keySet struct {
	raw      json.RawMessage
	digest   [sha256.Size]byte
	fetched  time.Time // zero of a file, which does not age
	keys     []jose.JSONWebKey
	skipped  int // keys of other kinds
	verified *lru.Cache[[sha256.Size]byte, keyring.Identity]
}

// parseKeys reads a JWK set. Keys that cannot be used are left out; none that can
// is an error.
func parseKeys(data []byte, fetched time.Time) (*keySet, error) {
	if len(data) > maxKeySet {
		return nil, fmt.Errorf("the key set has more than %d bytes", maxKeySet)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, fmt.Errorf("it is no JWK set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the key set has %d keys, and at most %d are taken", len(set.Keys), maxKeys)
	}
	s := &keySet{raw: data, digest: sha256.Sum256(data), fetched: fetched}
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && usable(&key) {
			s.keys = append(s.keys, key)
		} else {
			s.skipped++
		}
	}
	if len(s.keys) == 0 {
		return nil, errors.New("the key set has no public RSA, EC or Ed25519 key that signs")
	}
	var err error
	s.verified, err = lru.New[[sha256.Size]byte, keyring.Identity](maxVerified)
	return s, err
}

// usable reports whether tokens can be verified with a key.
func usable(key *jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" || !key.Valid() || !key.IsPublic() {
		return false
	}
	if public, ok := key.Key.(*rsa.PublicKey); ok {
		return public.N.BitLen() >= minRSABits && public.N.BitLen() <= maxRSABits
	}
	return true
}

// fits reports whether a signature by alg can be of the key: a key is good for the
// algorithm that it names, or else for those of its kind.
func fits(key *jose.JSONWebKey, alg string) bool {
	if key.Algorithm != "" && key.Algorithm != alg {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return alg[:2] == "RS" || alg[:2] == "PS"
	case *ecdsa.PublicKey:
		return alg == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return alg == string(jose.EdDSA)
	}
	return false
}

// maxTried is how many keys a token without a key's ID is tried with.
const maxTried = 3

// find returns the keys that may have signed a token.
func (s *keySet) find(kid, alg string) []*jose.JSONWebKey {
	var found []*jose.JSONWebKey
	for i := range s.keys {
		if key := &s.keys[i]; (kid == "" || key.KeyID == kid) && fits(key, alg) {
			found = append(found, key)
		}
	}
	if kid == "" && len(found) > maxTried {
		return nil
	}
	return found[:min(len(found), maxTried)]
}
