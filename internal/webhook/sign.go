package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// The headers of a signed message.
const (
	HeaderID        = "webhook-id"
	HeaderTimestamp = "webhook-timestamp"
	HeaderSignature = "webhook-signature"
)

// secretPrefix is what a secret begins with.
const secretPrefix = "whsec_"

// FormatSecret returns a key as receivers configure it.
func FormatSecret(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }

// ParseSecret returns the key of a secret: whsec_ and at least 24 bytes in base64.
func ParseSecret(secret string) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(secret), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(key) < 24 || len(key) > 64 {
		return nil, errors.New("it is whsec_ and 24 to 64 random bytes in base64, as from: echo whsec_$(openssl rand -base64 32)")
	}
	return key, nil
}

// Sign returns the signature of a body: "v1," and the HMAC of id, time and body.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	_, _ = h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
