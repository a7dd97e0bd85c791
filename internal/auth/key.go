package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// How keys look: a prefix, 32 random base62 digits (190 bits) and six more
// with their CRC32, so that a mistyped key is told from an unknown one, and
// secret scanners can recognise a leaked one without asking us.
const (
	keyPrefix    = "cst_"
	launchPrefix = "cstl_"

	randomDigits   = 32
	checksumDigits = 6
	shownDigits    = 4
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// NewKey makes an API key, of an account or of a satellite.
func NewKey() string { return newSecret(keyPrefix) }

// NewLaunchToken makes the token with which a launch reports.
func NewLaunchToken() string { return newSecret(launchPrefix) }

// NewToken makes the token of a session or of the set-up link.
func NewToken() string { return randomBase62(43) }

// ParseKey checks a key's form and checksum; the error is KindUnauthenticated
// and holds nothing of the key.
func ParseKey(key string) error {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return constellation.Errorf(constellation.KindUnauthenticated, "that is no API key: keys start with %q", keyPrefix)
	}
	if len(rest) != randomDigits+checksumDigits || strings.Trim(rest, base62) != "" {
		return constellation.Errorf(constellation.KindUnauthenticated, "the API key is incomplete or has been changed; copy the whole key, %d characters", len(keyPrefix)+randomDigits+checksumDigits)
	}
	if checksum(keyPrefix+rest[:randomDigits]) != rest[randomDigits:] {
		return constellation.Errorf(constellation.KindUnauthenticated, "the API key is mistyped: its checksum does not match; copy the whole key again")
	}
	return nil
}

// ParseLaunchToken is ParseKey for the token with which a launch reports.
func ParseLaunchToken(token string) error {
	rest, ok := strings.CutPrefix(token, launchPrefix)
	if !ok || len(rest) != randomDigits+checksumDigits || strings.Trim(rest, base62) != "" || checksum(launchPrefix+rest[:randomDigits]) != rest[randomDigits:] {
		return constellation.Errorf(constellation.KindUnauthenticated, "that is no launch token: it starts with %q, has %d characters, and is in the bundle", launchPrefix, len(launchPrefix)+randomDigits+checksumDigits)
	}
	return nil
}

// HashKey returns what is stored of a key or token: lower-case hex of its
// SHA-256. They are random, so a slow hash would add nothing.
func HashKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// Prefix returns the start of a key by which its owner recognises it.
func Prefix(key string) string {
	return key[:min(len(key), len(keyPrefix)+shownDigits)]
}

func newSecret(prefix string) string {
	body := prefix + randomBase62(randomDigits)
	return body + checksum(body)
}

func checksum(s string) string {
	sum := crc32.ChecksumIEEE([]byte(s))
	digits := make([]byte, checksumDigits) // 62^6 > 2^32
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return string(digits)
}

// randomBase62 returns n digits without bias: bytes of 248 and up are drawn
// again.
func randomBase62(n int) string {
	digits := make([]byte, 0, n)
	buffer := make([]byte, 64)
	for {
		rand.Read(buffer) // never fails: crypto/rand, Go 1.24
		for _, b := range buffer {
			if b >= 248 {
				continue
			}
			if digits = append(digits, base62[b%62]); len(digits) == n {
				return string(digits)
			}
		}
	}
}
