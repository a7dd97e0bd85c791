package control

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// signingSetting names the signing key among the settings, and binds its
// sealed value to that place.
const signingSetting = "signing_key"

// signer is the signing key in force, as it was last read.
type signer struct {
	sealed    []byte
	key       ed25519.PrivateKey
	since     *time.Time
	rotations []bundle.Rotation // that a launch's signature carries
	chain     []bundle.RotationStatement
	by        []string // whose each rotation was
}

// PublicKey returns the key that the mothership's signatures are checked with.
func (s *Service) PublicKey(ctx context.Context) (ed25519.PublicKey, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	return key.public(), nil
}

func (k *signer) public() ed25519.PublicKey { return k.key.Public().(ed25519.PublicKey) }

// SigningKey is the key that launches are signed with, as it is told to those
// who check them.
type SigningKey struct {
	ID          string // what algo-install's --trust takes
	Fingerprint string // SHA-256 of the public key, in hex
	PublicKey   string // in base64
	Since       *time.Time
	Earlier     []EarlierKey // those before, latest first
}

// EarlierKey is a key that launches were signed with before it was rotated.
type EarlierKey struct {
	ID, Fingerprint string
	ReplacedAt      time.Time
	ReplacedBy      string    // who rotated
	AcceptedUntil   time.Time // launches that it signed, by installers that know of the rotation
	Revoked         bool      // or one after it was: none of its launches is accepted
}

// SigningKey returns the key that the mothership's signatures are checked with.
func (s *Service) SigningKey(ctx context.Context) (SigningKey, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return SigningKey{}, err
	}
	return key.describe(), nil
}

func fingerprint(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])
}

func (k *signer) describe() SigningKey {
	public := k.public()
	d := SigningKey{ID: bundle.KeyID(public), Fingerprint: fingerprint(public), PublicKey: base64.StdEncoding.EncodeToString(public), Since: k.since}
	revoked := false
	for i, step := range slices.Backward(k.chain) {
		revoked = revoked || step.Revoked
		d.Earlier = append(d.Earlier, EarlierKey{ID: bundle.KeyID(step.OldKey), Fingerprint: fingerprint(step.OldKey),
			ReplacedAt: step.At, ReplacedBy: k.by[i], AcceptedUntil: step.AcceptedUntil, Revoked: revoked})
	}
	return d
}

// signingKey returns the mothership's Ed25519 key, made on first use. It asks each
// time which is in force: another server may have rotated it.
func (s *Service) signingKey(ctx context.Context) (*signer, error) {
	stored, err := s.db.SigningKey(ctx, signingSetting, bundle.MaxRotations)
	if err == nil && stored.Sealed == nil {
		stored, err = s.makeSigningKey(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if known := s.memory.signer; known != nil && bytes.Equal(known.sealed, stored.Sealed) {
		return known, nil
	}
	key, err := s.openSigningKey(stored)
	if err != nil {
		return nil, err
	}
	s.memory.signer = key
	return key, nil
}

// makeSigningKey stores the first key, unless another server did, in a transaction
// of its own, so that it outlives a failure of the caller's.
func (s *Service) makeSigningKey(ctx context.Context) (stored *postgres.SigningKey, err error) {
	err = s.options.DB.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.Lock(ctx, signingSetting); err != nil {
			return err
		}
		if stored, err = tx.SigningKey(ctx, signingSetting, bundle.MaxRotations); err != nil || stored.Sealed != nil {
			return err
		}
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return fmt.Errorf("make signing key: %w", err)
		}
		now := s.now()
		stored.Sealed, stored.SetAt = s.options.Sealer.Seal(signingSetting, key.Seed()), &now
		return tx.InsertSetting(ctx, signingSetting, stored.Sealed, now)
	})
	return stored, err
}

// openSigningKey opens what is stored, and holds its rotations to it: what goes out
// would be refused otherwise.
func (s *Service) openSigningKey(stored *postgres.SigningKey) (*signer, error) {
	seed, err := s.options.Sealer.Open(signingSetting, stored.Sealed)
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read signing key: it has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	k := &signer{sealed: stored.Sealed, key: ed25519.NewKeyFromSeed(seed), since: stored.SetAt}
	for _, r := range stored.Rotations {
		k.rotations = append(k.rotations, bundle.Rotation{Statement: r.Statement, Old: r.OldSignature, New: r.NewSignature})
		k.by = append(k.by, r.RotatedBy)
	}
	if k.chain, err = (bundle.Signature{PublicKey: k.public(), Rotations: k.rotations}).Chain(); err != nil {
		return nil, fmt.Errorf("read rotations of the signing key: %w", err)
	}
	return k, nil
}

// rotationView is what the audit log has of a rotation.
type rotationView struct {
	ID            string     `json:"id"`
	AcceptedUntil *time.Time `json:"accepted_until,omitempty"` // launches that it signed
	Revoked       bool       `json:"revoked,omitempty"`
}

// longestGrace bounds how long launches of an earlier key are accepted.
const longestGrace = 10 * 365 * 24 * time.Hour

// RotateSigningKey makes a new signing key, which the one before leads installers to
// and whose launches are accepted for a grace; that one is forgotten. With revoke
// somebody else may have it: then no installer goes on without a person, and nothing
// that it has signed is accepted. Only the shell may.
func (s *Service) RotateSigningKey(ctx context.Context, p Principal, grace time.Duration, revoke bool) (SigningKey, error) {
	switch {
	case p.Username != constellation.ActorShell:
		return SigningKey{}, constellation.Errorf(constellation.KindForbidden, "rotating the signing key needs the mothership's own shell: mothership signing-key rotate")
	case s.options.Sealer == nil:
		return SigningKey{}, constellation.Errorf(constellation.KindInvalid, "the secret key of this database is not at hand: give --secret-key-file, --secret-key-command or CONSTELLATION_SECRET_KEY, as its servers have it")
	case grace < 0 || grace > longestGrace:
		return SigningKey{}, constellation.Errorf(constellation.KindInvalid, "launches of the key before are accepted for between 0 and ten years; not %s", grace)
	}
	if _, err := s.signingKey(ctx); err != nil { // there is one, and it opens
		return SigningKey{}, err
	}
	var rotated *signer
	err := s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, signingSetting); err != nil {
			return err
		}
		stored, err := s.db.SigningKey(ctx, signingSetting, bundle.MaxRotations)
		if err != nil {
			return err
		}
		before, err := s.openSigningKey(stored)
		if err != nil {
			return err
		}
		if err := s.replaceSigningKey(ctx, p, before, grace, revoke); err != nil {
			return err
		}
		if stored, err = s.db.SigningKey(ctx, signingSetting, bundle.MaxRotations); err != nil {
			return err
		}
		rotated, err = s.openSigningKey(stored)
		return err
	})
	if err != nil {
		return SigningKey{}, err
	}
	return rotated.describe(), nil
}

// replaceSigningKey is RotateSigningKey's change, with its audit row.
func (s *Service) replaceSigningKey(ctx context.Context, p Principal, before *signer, grace time.Duration, revoke bool) error {
	_, next, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make signing key: %w", err)
	}
	now, sequence := s.now(), 1
	if n := len(before.chain); n > 0 {
		sequence = before.chain[n-1].Sequence + 1
	}
	until := now.Add(grace)
	if revoke {
		until = now
	}
	r, err := bundle.Rotate(before.key, next, sequence, now, until, revoke)
	if err != nil {
		return err
	}
	row := postgres.KeyRotation{Sequence: sequence, Statement: r.Statement, OldSignature: r.Old, NewSignature: r.New, RotatedBy: p.Username}
	if err := s.db.RotateSigningKey(ctx, signingSetting, s.options.Sealer.Seal(signingSetting, next.Seed()), row, now); err != nil {
		return err
	}
	id := bundle.KeyID(next.Public().(ed25519.PublicKey))
	return s.audit(ctx, p, "signing_key.rotate", target{"signing_key", id, "signing key"},
		rotationView{ID: bundle.KeyID(before.public()), AcceptedUntil: &until, Revoked: revoke}, rotationView{ID: id})
}
