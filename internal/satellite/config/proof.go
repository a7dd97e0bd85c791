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

// Beside the proof an engine of a satellite with a queue says, to those alone who
// know the launch, whether it reaches the queue. One without a queue, or of a
// version that does not know this header, says nothing.
const (
	QueueHeader  = "X-Constellation-Queue-Proof"
	QueueReached = "reached"
	QueueOpening = "opening"
)

// Proof returns what an engine of the launch answers to a challenge.
func Proof(launchID, challenge string) string {
	mac := hmac.New(sha256.New, []byte(launchID))
	mac.Write([]byte(challenge))
	return hex.EncodeToString(mac.Sum(nil))
}

// QueueProof returns what an engine of the launch says of its queue with a
// challenge. No challenge makes it a Proof: a header has no line breaks.
func QueueProof(launchID, challenge, state string) string {
	return Proof(launchID, "queue\n"+state+"\n"+challenge)
}
