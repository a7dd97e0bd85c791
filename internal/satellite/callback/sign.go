package callback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// secretPrefix is what a Standard Webhooks secret begins with.
const secretPrefix = "whsec_"

// SigningKey returns the bytes that sign what a key's receivers get: of the launch and
// of the key, so that no receiver can sign for another.
func SigningKey(launchSecret []byte, keyID string) []byte {
	h := hmac.New(sha256.New, launchSecret)
	_, _ = h.Write([]byte("constellation callbacks\x00" + keyID))
	return h.Sum(nil)
}

// FormatSecret returns a key as receivers configure it.
func FormatSecret(key []byte) string { return secretPrefix + base64.StdEncoding.EncodeToString(key) }

// Sign returns the webhook-signature of a body: "v1," and the HMAC of id, time and
// body.
func Sign(key []byte, id string, at time.Time, body []byte) string {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	_, _ = h.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))
}
