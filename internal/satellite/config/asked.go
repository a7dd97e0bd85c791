package config

import (
	"crypto/sha256"
	"encoding/hex"
)

// AskedFile is beside routes.json and keys.json in a pod and holds the pod's
// AskedAnnotation. Whenever it changes, the engine logs an InUse.
const AskedFile = "asked"

// AskedAnnotation is set on an engine's pod by the installer: it makes the
// kubelet bring the pod's files up to date at once, and the engine answer.
const AskedAnnotation = "constellation/config"

// InUseMessage is the message of an InUse.
const InUseMessage = "configuration in use"

// InUse is the line that the engine logs when it is asked what it uses.
type InUse struct {
	Message string `json:"msg"`
	Asked   string `json:"asked"`
	Routes  string `json:"routes"`            // Digest of the routes.json in use
	Keys    string `json:"keys"`              // Digest of the keys.json in use
	Refused string `json:"refused,omitempty"` // why a newer file is not in use
}

// Digest is the lower-case hex SHA-256 of a configuration file.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
