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
}
