package bundle

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// Root is launch.json: the digest of the plan and the digest and size of
// every manifest and blob of the bundle. Its signature vouches for all.
type Root struct {
	SchemaVersion int          `json:"schema_version"`
	SatelliteID   string       `json:"satellite_id"`
	LaunchID      string       `json:"launch_id"`
	Version       int          `json:"satellite_version"`
	Plan          Descriptor   `json:"plan"`
	Images        []Descriptor `json:"images"` // as in the bundle's index, without the plan
	Blobs         []Descriptor `json:"blobs"`  // every manifest, config and layer once, ordered by digest
}

// Descriptor names bytes by digest ("sha256:…") and size.
type Descriptor struct {
	MediaType string `json:"media_type,omitempty"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Signature is launch.json.sig: an Ed25519 signature over launch.json's bytes.
type Signature struct {
	KeyID     string `json:"key_id"`     // first 16 hex digits of the public key's SHA-256
	PublicKey []byte `json:"public_key"` // 32 bytes
	Signature []byte `json:"signature"`  // 64 bytes
	// Rotations are those by which the key came after older ones, oldest first. A
	// reader that does not know them goes by the key alone.
	Rotations []Rotation `json:"rotations,omitempty"`
}

// ErrSignature is what Verify wraps when bytes and signature do not match.
var ErrSignature = errors.New("the signature does not match")

// KeyID names a public key: the first 16 hex digits of its SHA-256.
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// Sign signs the bytes of a root.
func Sign(key ed25519.PrivateKey, root []byte) Signature {
	public := key.Public().(ed25519.PublicKey)
	return Signature{KeyID: KeyID(public), PublicKey: public, Signature: ed25519.Sign(key, root)}
}

// Verify checks root against its signature and, when pinned is not nil, that
// it was made with that key; the error wraps ErrSignature.
func (s Signature) Verify(root []byte, pinned ed25519.PublicKey) error {
	if len(s.PublicKey) != ed25519.PublicKeySize || len(s.Signature) != ed25519.SignatureSize {
		return fmt.Errorf("verify launch.json: key or signature has the wrong length: %w", ErrSignature)
	}
	public := ed25519.PublicKey(s.PublicKey)
	if pinned != nil && !pinned.Equal(public) {
		return fmt.Errorf("verify launch.json: signed with key %s, and key %s is pinned: %w", KeyID(public), KeyID(pinned), ErrSignature)
	}
	if !ed25519.Verify(public, root, s.Signature) {
		return fmt.Errorf("verify launch.json with key %s: %w", KeyID(public), ErrSignature)
	}
	return nil
}

// ParseRoot reads launch.json and holds it to its form.
func ParseRoot(data []byte) (*Root, error) {
	var r Root
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, fmt.Errorf("read launch.json: %w", err)
	}
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("read launch.json: %w", err)
	}
	return &r, nil
}

// Digest returns "sha256:…" of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
