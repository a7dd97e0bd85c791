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
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealVersion is the first byte of a sealed value, so that another cipher can
// follow.
const sealVersion = 1

// Sealer encrypts secrets for the database (XChaCha20-Poly1305) with a key
// from outside it: who has only the database has no secret. It may have several
// keys: the first seals, and each opens what it has sealed. It is safe for
// concurrent use.
type Sealer struct {
	mu   sync.RWMutex
	keys []cipher.AEAD
	file *keyFile // where they come from; nil when they do not change
}

// NewSealer makes a Sealer from 32-byte keys, of which the first seals.
func NewSealer(keys ...[]byte) (*Sealer, error) {
	s := &Sealer{}
	for _, key := range keys {
		aead, err := chacha20poly1305.NewX(key)
		if err != nil {
			return nil, fmt.Errorf("make sealer: %w", err)
		}
		s.keys = append(s.keys, aead)
	}
	if len(s.keys) == 0 {
		return nil, errors.New("make sealer: it has no key")
	}
	return s, nil
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
	s.refresh()
	aead := s.all()[0]
	size := 1 + aead.NonceSize()
	sealed := make([]byte, size, size+len(secret)+aead.Overhead())
	sealed[0] = sealVersion
	rand.Read(sealed[1:size])
	return aead.Seal(sealed, sealed[1:size], secret, []byte(place)) //nolint:gosec // the nonce is the random bytes above
}

// Open decrypts what Seal made for the same place, with whichever of the keys.
func (s *Sealer) Open(place string, sealed []byte) ([]byte, error) {
	secret, _, err := s.open(place, sealed)
	return secret, err
}

// open is Open, and reports whether the key that seals now has sealed it.
func (s *Sealer) open(place string, sealed []byte) (secret []byte, newest bool, err error) {
	const size = 1 + chacha20poly1305.NonceSizeX
	if len(sealed) < size || sealed[0] != sealVersion {
		return nil, false, fmt.Errorf("open secret of %s: unknown format", place)
	}
	for {
		for i, aead := range s.all() {
			if secret, err := aead.Open(nil, sealed[1:size], sealed[size:], []byte(place)); err == nil {
				return secret, i == 0, nil
			}
		}
		if !s.refresh() { // another server may have sealed it with a key that came since
			return nil, false, fmt.Errorf("open secret of %s: %w; restore the key file that belongs to this database", place, ErrOtherKey)
		}
	}
}

// Reseal returns what an older key sealed as the newest seals it; again is false
// when that has sealed it already.
func (s *Sealer) Reseal(place string, sealed []byte) (resealed []byte, again bool, err error) {
	s.refresh()
	secret, newest, err := s.open(place, sealed)
	if err != nil || newest {
		return nil, false, err
	}
	return s.Seal(place, secret), true, nil
}

// Keys returns how many keys there are.
func (s *Sealer) Keys() int { return len(s.all()) }

func (s *Sealer) all() []cipher.AEAD {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.keys
}

// refresh reads the key file again when it has changed, and reports whether it
// did. A file that cannot be read leaves the keys as they are.
func (s *Sealer) refresh() bool {
	if s.file == nil {
		return false
	}
	info, err := os.Stat(s.file.path)
	s.mu.RLock()
	same := err != nil || s.file.same(info)
	s.mu.RUnlock()
	if same {
		return false
	}
	fresh, err := LoadSealer(s.file.path)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys, s.file = fresh.keys, fresh.file
	return true
}

// keyFile is a key file as it was read.
type keyFile struct {
	path string
	info fs.FileInfo
}

func (f *keyFile) same(info fs.FileInfo) bool {
	return os.SameFile(f.info, info) && f.info.ModTime().Equal(info.ModTime()) && f.info.Size() == info.Size()
}

// LoadSealer reads the key file at path; fs.ErrNotExist when there is none. The
// Sealer follows the file when it changes.
func LoadSealer(path string) (*Sealer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("read key file %s: every user of this machine may access it; run chmod 600 %s", path, path)
	}
	if info.Size() > maxKeyText {
		return nil, fmt.Errorf("read key file %s: it has more than %d bytes; it holds a key a line", path, maxKeyText)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file: %w", err)
	}
	s, err := ParseSealer(string(text))
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w; restore it from a backup", path, err)
	}
	s.file = &keyFile{path, info}
	return s, nil
}

// What a text of keys may have.
const (
	maxKeys    = 8
	maxKeyText = 4096
)

// ParseSealer makes a Sealer from keys as text: 32 bytes in base64 a line, of which
// the first line seals.
func ParseSealer(text string) (*Sealer, error) {
	keys, err := parseKeys(text)
	if err != nil {
		return nil, err
	}
	return NewSealer(keys...)
}

func parseKeys(text string) ([][]byte, error) {
	var keys [][]byte
	for line := range strings.FieldsSeq(text) {
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != chacha20poly1305.KeySize {
			return nil, errors.New("it does not hold 32 bytes in base64, or several of these with a line each")
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("it does not hold 32 bytes in base64, or up to %d of these with a line each", maxKeys)
	}
	return keys, nil
}

// AddKey puts a new key before the one in the key file, so that it seals from now
// on; a file with several is left as it is: that was begun before.
func AddKey(path string) error {
	return rewriteKeys(path, func(keys [][]byte) [][]byte {
		if len(keys) > 1 {
			return keys
		}
		key := make([]byte, chacha20poly1305.KeySize)
		rand.Read(key)
		return append([][]byte{key}, keys...)
	})
}

// DropKeys leaves only the key that seals in the key file.
func DropKeys(path string) error {
	return rewriteKeys(path, func(keys [][]byte) [][]byte { return keys[:1] })
}

// rewriteKeys replaces the key file by one with other keys, whole or not at all.
func rewriteKeys(path string, change func([][]byte) [][]byte) error {
	if _, err := LoadSealer(path); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read key file: %w", err)
	}
	before, err := parseKeys(string(text))
	if err != nil {
		return err
	}
	after := change(before)
	if len(after) == len(before) {
		return nil
	}
	if path, err = filepath.EvalSymlinks(path); err == nil {
		err = writeKeyFile(path, after, os.Rename)
	}
	if err != nil {
		return fmt.Errorf("write key file %s: %w", path, err)
	}
	return nil
}

// createKeyFile writes a whole key or nothing: it fails with fs.ErrExist when
// another was first.
func createKeyFile(path string) error {
	key := make([]byte, chacha20poly1305.KeySize)
	rand.Read(key)
	return writeKeyFile(path, [][]byte{key}, func(temporary, path string) error {
		return errors.Join(os.Link(temporary, path), os.Remove(temporary))
	})
}

// writeKeyFile writes keys to a temporary file, synced, and has place put it to
// path.
func writeKeyFile(path string, keys [][]byte, place func(temporary, path string) error) (err error) {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".key-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temporary.Name()) // what err says is worse
		}
	}()
	for _, key := range keys {
		_, e := temporary.WriteString(base64.StdEncoding.EncodeToString(key) + "\n")
		err = errors.Join(err, e)
	}
	err = errors.Join(err, likeBefore(temporary, path), temporary.Sync(), temporary.Close())
	if err != nil {
		return err
	}
	if err = place(temporary.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
