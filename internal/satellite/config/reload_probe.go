package config

import (
	"crypto/sha256"
	"encoding/hex"
)

// ProbeFile is beside routes.json and keys.json in a pod and holds the pod's
// ProbeAnnotation. Whenever it changes, the engine logs an Acknowledgement.
const ProbeFile = "asked"

// ProbeAnnotation is the reload probe that the installer sets on an engine's
// pod: it makes the kubelet bring the pod's files up to date at once, and the
// engine acknowledge what it uses.
const ProbeAnnotation = "constellation/config"

// AcknowledgementMessage is the message of an Acknowledgement.
const AcknowledgementMessage = "configuration in use"

// Acknowledgement is the line that the engine logs when its probe changes: which
// configuration it uses.
type Acknowledgement struct {
	Message string `json:"msg"`
	Probe   string `json:"asked"`             // that it acknowledges
	Routes  string `json:"routes"`            // Digest of the routes.json in use
	Keys    string `json:"keys"`              // Digest of the keys.json in use
	Refused string `json:"refused,omitempty"` // why a newer file is not in use
	Empty   int    `json:"empty,omitempty"`   // algorithms that want replicas and of which none is known yet
}

// Digest returns the lower-case hex SHA-256 of a configuration file.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
