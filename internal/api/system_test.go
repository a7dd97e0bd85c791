package api

import (
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/constellation-serving/constellation/internal/bundle"
)

// The signing key's ID is the one by which algo-install names it.
func TestSystemTellsTheSigningKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := w.call(w.admin, "GET", "/v1/system", "").want(t, http.StatusOK)
	key, ok := body["signing_key"].(map[string]any)
	if !ok {
		t.Fatalf("GET /v1/system = %v, want a signing_key", body)
	}
	public, err := base64.StdEncoding.DecodeString(key["public_key"].(string))
	if err != nil || bundle.KeyID(ed25519.PublicKey(public)) != key["id"] {
		t.Errorf("signing_key = %v, %v; want the ID of its public key", key, err)
	}
}
