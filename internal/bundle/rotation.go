package bundle

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const (
	// MaxRotations is how many rotations a signature carries at most: an installer
	// that slept through more asks a person again.
	MaxRotations = 64
	// maxStatement is the most bytes of one rotation's statement.
	maxStatement = 2048
	// rotationDomain is signed before a statement, so that no signature of a launch
	// can pass for one of a rotation.
	rotationDomain = "constellation signing key rotation v1\n"
)

// Rotation is one change of a mothership's signing key, signed by the key before
// and by the new one: the first makes installers that trust the older key go on
// with the new one, the second says which older keys the new one stands by.
type Rotation struct {
	Statement []byte `json:"statement"`               // a RotationStatement, as its exact bytes
	Old       []byte `json:"old_signature,omitempty"` // none where the key before is revoked
	New       []byte `json:"new_signature"`
}

// RotationStatement is what a Rotation says.
type RotationStatement struct {
	Sequence int       `json:"sequence"` // 1 is the mothership's first rotation
	OldKey   []byte    `json:"old_key"`
	NewKey   []byte    `json:"new_key"`
	At       time.Time `json:"at"`
	// AcceptedUntil is until when launches are taken that the key before has signed.
	AcceptedUntil time.Time `json:"accepted_until"`
	// Revoked says that somebody else may have the key before: nothing that it or an
	// earlier one has signed counts any more.
	Revoked bool `json:"revoked,omitempty"`
}

// Rotate makes the rotation from a key to the next one. A revoked key signs nothing
// any more.
func Rotate(previous, next ed25519.PrivateKey, sequence int, at, acceptedUntil time.Time, revoked bool) (Rotation, error) {
	statement, err := json.Marshal(RotationStatement{
		Sequence: sequence, OldKey: previous.Public().(ed25519.PublicKey), NewKey: next.Public().(ed25519.PublicKey),
		At: at.UTC(), AcceptedUntil: acceptedUntil.UTC(), Revoked: revoked,
	})
	if err != nil {
		return Rotation{}, fmt.Errorf("encode rotation of the signing key: %w", err)
	}
	message := append([]byte(rotationDomain), statement...)
	r := Rotation{Statement: statement, New: ed25519.Sign(next, message)}
	if !revoked {
		r.Old = ed25519.Sign(previous, message)
	}
	return r, nil
}

// Read returns what the rotation says, once each key has signed it that must.
func (r Rotation) Read() (RotationStatement, error) {
	var s RotationStatement
	if len(r.Statement) > maxStatement {
		return s, fmt.Errorf("it has %d bytes, and at most %d are read", len(r.Statement), maxStatement)
	}
	if json.Unmarshal(r.Statement, &s) != nil || len(s.OldKey) != ed25519.PublicKeySize || len(s.NewKey) != ed25519.PublicKeySize || s.Sequence < 1 {
		return s, errors.New("it cannot be read")
	}
	message := append([]byte(rotationDomain), r.Statement...)
	switch {
	case !ed25519.Verify(s.NewKey, message, r.New):
		return s, fmt.Errorf("the new key %s has not signed it", KeyID(s.NewKey))
	case s.Revoked && len(r.Old) > 0:
		return s, fmt.Errorf("the key %s, which it revokes, has signed it", KeyID(s.OldKey))
	case !s.Revoked && !ed25519.Verify(s.OldKey, message, r.Old):
		return s, fmt.Errorf("the key before, %s, has not signed it", KeyID(s.OldKey))
	}
	return s, nil
}

// Chain returns the rotations that led to the signature's key, oldest first, each
// held to its signatures and to the one before. The error wraps ErrSignature.
func (s Signature) Chain() ([]RotationStatement, error) {
	if len(s.Rotations) > MaxRotations {
		return nil, fmt.Errorf("it carries %d rotations of the signing key, and at most %d are read: %w", len(s.Rotations), MaxRotations, ErrSignature)
	}
	chain := make([]RotationStatement, len(s.Rotations))
	for i, r := range s.Rotations {
		read, err := r.Read()
		if err != nil {
			return nil, fmt.Errorf("rotation %d of the signing key is not right, for %w: %w", i+1, err, ErrSignature)
		}
		if i > 0 && (read.Sequence != chain[i-1].Sequence+1 || !ed25519.PublicKey(read.OldKey).Equal(ed25519.PublicKey(chain[i-1].NewKey))) {
			return nil, fmt.Errorf("rotation %d of the signing key does not go on from the one before it: %w", i+1, ErrSignature)
		}
		chain[i] = read
	}
	if n := len(chain); n > 0 && !ed25519.PublicKey(chain[n-1].NewKey).Equal(ed25519.PublicKey(s.PublicKey)) {
		return nil, fmt.Errorf("its rotations of the signing key lead to key %s, and it is signed with %s: %w", KeyID(chain[n-1].NewKey), KeyID(s.PublicKey), ErrSignature)
	}
	return chain, nil
}

// Sequence is how often the mothership had rotated its key when it made the
// signature, as its last rotation says; nobody has checked that.
func (s Signature) Sequence() int {
	var last RotationStatement
	if n := len(s.Rotations); n == 0 || json.Unmarshal(s.Rotations[n-1].Statement, &last) != nil {
		return 0
	}
	return last.Sequence
}

// PlanTag is the ETag of a launch's plan: the digest of its root, and the signing key
// once that was rotated, so that the new signature is asked for too.
func PlanTag(root []byte, s Signature) string {
	if len(s.Rotations) == 0 {
		return Digest(root)
	}
	return Digest(root) + "+" + KeyID(s.PublicKey)
}
