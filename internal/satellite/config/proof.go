package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// An engine proves which launch it is of without telling it: whoever asks sends
// a challenge with a request for the status, and who knows the launch's ID
// knows what the right proof of it is. Nobody else learns anything.
const (
	ChallengeHeader = "X-Constellation-Challenge"
	ProofHeader     = "X-Constellation-Proof"
	ChallengeLimit  = 64 // characters
)

// Proof returns what an engine of the launch answers to a challenge.
func Proof(launchID, challenge string) string {
	mac := hmac.New(sha256.New, []byte(launchID))
	mac.Write([]byte(challenge))
	return hex.EncodeToString(mac.Sum(nil))
}
