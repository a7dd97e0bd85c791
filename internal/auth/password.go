package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Argon2id with OWASP's minimum (19 MiB, two passes, one lane): a login costs
// about 30 ms, and Passwords bounds how many run at once.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	argonKey    = 32
	argonSalt   = 16
)

// Passwords hashes and checks passwords, a bounded number at a time, so that
// a flood of logins cannot take all memory and processors.
type Passwords struct{ slots chan struct{} }

// NewPasswords makes a Passwords that runs at most n hashes at once.
func NewPasswords(n int) *Passwords {
	return &Passwords{slots: make(chan struct{}, max(n, 1))}
}

// Hash returns the password's PHC string with a fresh salt.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, argonSalt)
	rand.Read(salt)
	key, err := p.derive(ctx, password, salt, argonMemory, argonTime, argonLanes, argonKey)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s",
		argon2.Version, argonMemory, argonTime, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}

// Verify reports whether password is the one that phc was made from. With phc ""
// (an unknown account, or one without a password) it takes as long and says
// no, so that time does not tell which accounts exist.
func (p *Passwords) Verify(ctx context.Context, phc, password string) (bool, error) {
	if phc == "" {
		_, err := p.derive(ctx, password, make([]byte, argonSalt), argonMemory, argonTime, argonLanes, argonKey)
		return false, err
	}
	h, err := parsePHC(phc)
	if err != nil {
		return false, err
	}
	key, err := p.derive(ctx, password, h.salt, h.memory, h.time, h.lanes, uint32(len(h.key)))
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, h.key) == 1, nil
}

func (p *Passwords) derive(ctx context.Context, password string, salt []byte, memory, time uint32, lanes uint8, length uint32) ([]byte, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a password slot: %w", ctx.Err())
	}
	defer func() { <-p.slots }()
	return argon2.IDKey([]byte(password), salt, time, memory, lanes, length), nil
}

type phcHash struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

var errPHC = errors.New("read password hash: not an argon2id PHC string of ours")

func parsePHC(phc string) (phcHash, error) {
	var h phcHash
	var version int
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return h, errPHC
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, errPHC
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.lanes); err != nil {
		return h, errPHC
	}
	var errSalt, errKey error
	h.salt, errSalt = base64.RawStdEncoding.DecodeString(parts[4])
	h.key, errKey = base64.RawStdEncoding.DecodeString(parts[5])
	if errSalt != nil || errKey != nil || len(h.key) < 16 || h.time == 0 || h.lanes == 0 || h.memory > 1<<20 {
		return h, errPHC
	}
	return h, nil
}
