package telemetry

import (
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Call is what is recorded of a call that has ended.
type Call struct {
	ID        string
	Start     time.Time
	Status    int
	Outcome   protocol.Outcome
	Wait      time.Duration // for a replica
	Run       time.Duration // on the replica; 0 when none answered
	VanityURL string        // of the algorithm; "" when the call reached none
	Version   string        // of the algorithm
	Replica   string        // its address
	KeyID     string        // of the API key, or of the identity
	Subject   string        // whom a token or certificate names; "" with a key
	Trace     *protocol.Trace
	Failure   *protocol.Failure // nil is none
	Durable   string            // what of a durable call it is; "" of a synchronous one
}

// A durable call is recorded when it is accepted, and at each of its runs.
const (
	DurableAccepted = "accepted"
	DurableRun      = "run"
)
