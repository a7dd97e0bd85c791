// Package auth is how the mothership recognises people and machines: API
// keys, passwords, session tokens, and the sealing of secrets at rest.
package auth

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealVersion is the first byte of a sealed value, so that another cipher or
// a rotated key can follow.
const sealVersion = 1

// Sealer encrypts secrets for the database (XChaCha20-Poly1305) with a key
// from outside it: who has only the database has no secret.
type Sealer struct{ aead cipher.AEAD }

// NewSealer makes a Sealer from a 32-byte key.
func NewSealer(key []byte) (*Sealer, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("make sealer: %w", err)
	}
	return &Sealer{aead: aead}, nil
}

// ErrOtherKey is what Open returns for a secret that another key has sealed.
var ErrOtherKey = errors.New("it was sealed with another key")

// LoadOrCreateSealer reads the key file at path, or makes it with mode 0600.
// Two servers that start at once end up with the same key.
func LoadOrCreateSealer(path string) (*Sealer, error) {
	sealer, err := LoadSealer(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return sealer, err
	}
	if err := createKeyFile(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("create key file %s: %w", path, err)
	}
	return LoadSealer(path)
}

// Seal encrypts secret. Place names the row and column it is for, and Open
// needs the same: a sealed value moved to another row does not open.
func (s *Sealer) Seal(place string, secret []byte) []byte {
	size := 1 + s.aead.NonceSize()
	sealed := make([]byte, size, size+len(secret)+s.aead.Overhead())
	sealed[0] = sealVersion
	rand.Read(sealed[1:size])
	return s.aead.Seal(sealed, sealed[1:size], secret, []byte(place)) //nolint:gosec // the nonce is the random bytes above
}

// Open decrypts what Seal made for the same place.
func (s *Sealer) Open(place string, sealed []byte) ([]byte, error) {
	size := 1 + s.aead.NonceSize()
	if len(sealed) < size || sealed[0] != sealVersion {
		return nil, fmt.Errorf("open secret of %s: unknown format", place)
	}
	secret, err := s.aead.Open(nil, sealed[1:size], sealed[size:], []byte(place))
	if err != nil {
		return nil, fmt.Errorf("open secret of %s: %w; restore the key file that belongs to this database", place, ErrOtherKey)
	}
	return secret, nil
}

// LoadSealer reads the key file at path; fs.ErrNotExist when there is none.
func LoadSealer(path string) (*Sealer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("read key file %s: every user of this machine may access it; run chmod 600 %s", path, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != chacha20poly1305.KeySize {
		return nil, fmt.Errorf("read key file %s: it does not hold 32 bytes in base64; restore it from a backup", path)
	}
	return NewSealer(key)
}

// createKeyFile writes a whole key or nothing: a temporary file, synced, is
// linked to path, which fails with fs.ErrExist when another was first.
func createKeyFile(path string) (err error) {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key)
	temporary, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temporary.Name())) }()
	_, err = temporary.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err := os.Link(temporary.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
