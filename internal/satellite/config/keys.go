package config

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Keys is keys.json: who may call this satellite's algorithms, and until when
// the satellite is good. It holds hashes, never a key. Of two, the one with the
// greater Version is the newer; 0 is of a file that nobody counts.
type Keys struct {
	Version   int64     `json:"version,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero is routes.json's
	Keys      []Key     `json:"keys"`
	// Revoked are ids of keys that a newer version does not have, where there
	// was no room yet for that version itself. They stop working at once.
	Revoked []string `json:"revoked,omitempty"`

	Refused []Refused `json:"-"` // what ParseKeys left out
}

// Key is one API key. A zero ExpiresAt never expires.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	SHA256     string    `json:"sha256"`               // lower-case hex of the whole key
	Algorithms []string  `json:"algorithms,omitempty"` // vanity URLs that it may call; none: all
	ExpiresAt  time.Time `json:"expires_at,omitzero"`

	Rate constellation.KeyRate `json:"rate,omitzero"` // zero is the engine's

	// CallbackURL is where results of its asynchronous calls are posted that name
	// no other place; "": nowhere.
	CallbackURL string `json:"callback_url,omitempty"`
}

// May reports whether the key may call the algorithm at a vanity URL.
func (k Key) May(vanityURL string) bool {
	return len(k.Algorithms) == 0 || slices.Contains(k.Algorithms, vanityURL)
}

// InternalKeyID is the key that the satellite's own algorithms call each
// other with. The mothership does not know it.
const InternalKeyID = "internal"

// OwnKeyAny in Routes.OwnKey lets that key work from any address, for networks
// that change the address which a call comes from. OwnKeyPods is the default.
const (
	OwnKeyPods = "pods"
	OwnKeyAny  = "any"
)

// InternalRate is how often each engine lets the satellite's algorithms call
// each other, all of them together: more than work does, and less than a loop
// of algorithms that call themselves. A rate of the key in keys.json is used
// instead.
var InternalRate = constellation.KeyRate{PerSecond: 5000, Burst: 10_000}

// Expired reports whether the key no longer works at now.
func (k Key) Expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// HashKey returns a whole key's entry for Key.SHA256.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Validate returns nil, or a KindInvalid error that names each key which breaks
// a rule. No keys at all is valid: then nobody may call.
func (k *Keys) Validate() error {
	sieve := newSieve("keys")
	for i, key := range k.Keys {
		sieve.passes(i, key.ID, key.check)
	}
	return sieve.err()
}

// Sift moves the keys that break a rule to Refused.
func (k *Keys) Sift() {
	sieve, all := newSieve("keys"), k.Keys
	k.Keys = make([]Key, 0, len(all))
	for i, key := range all {
		if sieve.passes(i, key.ID, key.check) {
			k.Keys = append(k.Keys, key)
		}
	}
	k.Refused = append(k.Refused, sieve.refused...)
}

func (k Key) check(v *constellation.Validation) {
	if k.ID == "" {
		v.Add("id", "a key needs an id")
	}
	if k.Algorithms != nil && len(k.Algorithms) == 0 {
		v.Add("algorithms", "the key %q may call nothing: leave its algorithms out for all of them, or name one", k.ID)
	}
	constellation.CheckKeyAlgorithms(v, "algorithms", k.Algorithms)
	constellation.CheckKeyRate(v, "rate", k.Rate)
	if k.CallbackURL != "" {
		constellation.CheckCallbackURL(v, "callback_url", k.CallbackURL)
	}
	if raw, err := hex.DecodeString(k.SHA256); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != k.SHA256 {
		v.Add("sha256", "the sha256 of key %q is not 64 lower-case hex digits", k.ID)
	}
}

// ParseKeys reads and validates keys.json, in either form that Encode writes. A key that breaks a rule is in
// Refused, and the others work; when none is left, or the file cannot be read,
// the error is one sentence for the operator.
func ParseKeys(data []byte) (*Keys, error) {
	var file struct {
		Version    int64             `json:"version"`
		ExpiresAt  time.Time         `json:"expires_at"`
		Revoked    []string          `json:"revoked"`
		VanityURLs []string          `json:"vanity_urls"`
		Keys       []json.RawMessage `json:"keys"`
	}
	if err := decode(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", KeysFile, err)
	}
	k := Keys{Version: file.Version, ExpiresAt: file.ExpiresAt, Revoked: file.Revoked, Keys: make([]Key, 0, len(file.Keys))}
	sieve := newSieve("keys")
	for i, raw := range file.Keys {
		key, err := decodeKey(raw, file.VanityURLs)
		if err != nil {
			sieve.refuse(i, key.ID, err)
		} else if sieve.passes(i, key.ID, key.check) {
			k.Keys = append(k.Keys, key)
		}
	}
	if err := sieve.err(); err != nil && len(k.Keys) == 0 {
		return nil, fmt.Errorf("%s: %w", KeysFile, err)
	}
	k.Refused = sieve.refused
	return &k, nil
}
