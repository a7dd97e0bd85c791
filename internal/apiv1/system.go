package apiv1

import "time"

// System answers GET /v1/system: what this mothership is.
type System struct {
	Version    string     `json:"version" doc:"The mothership's version." example:"v1.4.0"`
	GoVersion  string     `json:"go_version" example:"go1.26.8"`
	Platform   string     `json:"platform" doc:"Operating system and processor." example:"linux/amd64"`
	StartedAt  time.Time  `json:"started_at" doc:"When this process was started."`
	SigningKey SigningKey `json:"signing_key" doc:"What launches are signed with."`
}

// SigningKey is the public key that a mothership's launches are checked with.
type SigningKey struct {
	ID          string `json:"id" doc:"What algo-install's --trust takes: the first 16 hex digits of the fingerprint." example:"0123456789abcdef"`
	Fingerprint string `json:"fingerprint" doc:"SHA-256 of the public key, in hex." example:"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"`
	PublicKey   string `json:"public_key" doc:"The Ed25519 public key, in base64."`

	Since   *time.Time          `json:"since,omitempty" doc:"Since when launches are signed with it."`
	Earlier []EarlierSigningKey `json:"earlier" doc:"The keys before it, latest first, at most 64."`
}

// EarlierSigningKey is a key that launches were signed with before it was rotated.
type EarlierSigningKey struct {
	ID            string    `json:"id" example:"0123456789abcdef"`
	Fingerprint   string    `json:"fingerprint" doc:"SHA-256 of the public key, in hex."`
	ReplacedAt    time.Time `json:"replaced_at"`
	ReplacedBy    string    `json:"replaced_by" doc:"Who rotated it."`
	AcceptedUntil time.Time `json:"accepted_until" doc:"Until when installers take launches that it has signed."`
	Revoked       bool      `json:"revoked" doc:"Somebody else may have it, or one after it: nothing that it has signed is taken."`
}
