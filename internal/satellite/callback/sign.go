package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"time"

	"github.com/constellation-serving/constellation/internal/webhook"
)

// SigningKey returns the bytes that sign what a key's receivers get: of the launch and
// of the key, so that no receiver can sign for another.
func SigningKey(launchSecret []byte, keyID string) []byte {
	h := hmac.New(sha256.New, launchSecret)
	_, _ = h.Write([]byte("constellation callbacks\x00" + keyID))
	return h.Sum(nil)
}

// FormatSecret returns a key as receivers configure it.
func FormatSecret(key []byte) string { return webhook.FormatSecret(key) }

// Sign returns the webhook-signature of a body.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	return webhook.Sign(key, id, at, body)
}
