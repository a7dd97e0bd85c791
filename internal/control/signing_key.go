package control

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// signingSetting names the signing key among the settings, and binds its
// sealed value to that place.
const signingSetting = "signing_key"

// PublicKey returns the key that the mothership's signatures are checked with.
func (s *Service) PublicKey(ctx context.Context) (ed25519.PublicKey, error) {
	key, err := s.signingKey(ctx)
	if err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}

// SigningKey is the key that launches are signed with, as it is told to those
// who check them.
type SigningKey struct {
	ID          string // what algo-install's --trust takes
	Fingerprint string // SHA-256 of the public key, in hex
	PublicKey   string // in base64
}

// SigningKey returns the key that the mothership's signatures are checked with.
func (s *Service) SigningKey(ctx context.Context) (SigningKey, error) {
	key, err := s.PublicKey(ctx)
	if err != nil {
		return SigningKey{}, err
	}
	sum := sha256.Sum256(key)
	return SigningKey{ID: bundle.KeyID(key), Fingerprint: hex.EncodeToString(sum[:]), PublicKey: base64.StdEncoding.EncodeToString(key)}, nil
}

// signingKey returns the mothership's Ed25519 key, made on first use. It is
// stored in a transaction of its own, so that it outlives a failure of the
// caller's.
func (s *Service) signingKey(ctx context.Context) (ed25519.PrivateKey, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if s.memory.signingKey != nil {
		return s.memory.signingKey, nil
	}
	var seed []byte
	err := s.options.DB.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.Lock(ctx, signingSetting); err != nil {
			return err
		}
		sealed, err := tx.Setting(ctx, signingSetting)
		if err != nil {
			return err
		}
		if sealed != nil {
			seed, err = s.options.Sealer.Open(signingSetting, sealed)
			return err
		}
		_, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			return fmt.Errorf("make signing key: %w", err)
		}
		seed = key.Seed()
		return tx.InsertSetting(ctx, signingSetting, s.options.Sealer.Seal(signingSetting, seed))
	})
	if err != nil {
		return nil, err
	}
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("read signing key: it has %d bytes, not %d", len(seed), ed25519.SeedSize)
	}
	s.memory.signingKey = ed25519.NewKeyFromSeed(seed)
	return s.memory.signingKey, nil
}
