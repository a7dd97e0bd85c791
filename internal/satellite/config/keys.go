package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Keys is keys.json: who may call this satellite's algorithms. It holds
// hashes, never a key.
type Keys struct {
	Keys []Key `json:"keys"`
}

// Key is one API key. A zero ExpiresAt never expires.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	SHA256     string    `json:"sha256"`               // lower-case hex of the whole key
	Algorithms []string  `json:"algorithms,omitempty"` // vanity URLs that it may call; none: all
	ExpiresAt  time.Time `json:"expires_at,omitzero"`

	Rate constellation.KeyRate `json:"rate,omitzero"` // zero is the engine's
}

// May says whether the key may call the algorithm at a vanity URL.
func (k Key) May(vanityURL string) bool {
	return len(k.Algorithms) == 0 || slices.Contains(k.Algorithms, vanityURL)
}

// InternalKeyID is the key that the satellite's own algorithms call each
// other with. The mothership does not know it.
const InternalKeyID = "internal"

// Expired says whether the key no longer works at now.
func (k Key) Expired(now time.Time) bool {
	return !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt)
}

// HashKey gives a whole key's entry for Key.SHA256.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Validate gives nil, or a KindInvalid error with every field that breaks a
// rule. No keys at all is valid: then nobody may call.
func (k *Keys) Validate() error {
	var v constellation.Validation
	ids := make(map[string]bool, len(k.Keys))
	for i, key := range k.Keys {
		field := fmt.Sprintf("keys[%d]", i)
		if key.ID == "" {
			v.Add(field+".id", "%s needs an id", field)
		} else if ids[key.ID] {
			v.Add(field+".id", "the key id %q is there twice", key.ID)
		}
		ids[key.ID] = true
		constellation.CheckKeyAlgorithms(&v, field+".algorithms", key.Algorithms)
		constellation.CheckKeyRate(&v, field+".rate", key.Rate)
		if raw, err := hex.DecodeString(key.SHA256); err != nil || len(raw) != sha256.Size || hex.EncodeToString(raw) != key.SHA256 {
			v.Add(field+".sha256", "the sha256 of key %q is not 64 lower-case hex digits", key.ID)
		}
	}
	return v.Err()
}

// ParseKeys reads and validates keys.json. The error is one sentence for the
// operator.
func ParseKeys(data []byte) (*Keys, error) {
	var k Keys
	if err := decode(data, &k); err != nil {
		return nil, fmt.Errorf("%s: %w", KeysFile, err)
	}
	if err := k.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", KeysFile, err)
	}
	return &k, nil
}

// ReadKeys reads and validates DIR/keys.json.
func ReadKeys(dir string) (*Keys, error) {
	data, err := os.ReadFile(filepath.Join(dir, KeysFile))
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return ParseKeys(data)
}
