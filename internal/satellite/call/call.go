package call

import (
	"log/slog"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
)

// Call is one algorithm call. What makes one sets Log, ID and Start, and To its
// route.
type Call struct {
	protocol.Call
	Route     *routing.Route
	KeyID     string
	Subject   string         // whom a token or certificate names; "" with a key
	Warning   string         // of the satellite's expiry, for the caller
	Span      telemetry.Span // nil without a collector
	Wait      time.Duration
	Replica   string
	Status    int
	Outcome   protocol.Outcome
	Answering bool   // the answer is being written
	Callback  string // where the key has results posted; of calls whose caller does not wait
	Accepted  bool   // it was stored to be run later, or was to be
	Gone      bool   // the caller left, and the call is not made without them
	Durable   bool   // nobody waits for it: what ends it for its caller cuts it off
	Log       *slog.Logger

	phase    phase
	tries    int
	queuedAt time.Time
	started  time.Time // when the slot was granted
	slot     *pool.Replica
}

// To makes the call one of route's.
func (c *Call) To(r *routing.Route) {
	c.Route = r
	c.Langserver, c.Head, c.Timeout = r.IsLangserver(), r.Head, r.Timeout
}

// Record returns what is recorded of a call that has ended.
func (c *Call) Record(f *protocol.Failure) telemetry.Call {
	record := telemetry.Call{
		ID: c.ID, Start: c.Start, Status: c.Status, Outcome: c.Outcome, Wait: c.Wait, Run: c.Run,
		Replica: c.Replica, KeyID: c.KeyID, Subject: c.Subject, Trace: &c.Trace, Failure: f,
	}
	switch {
	case c.Accepted:
		record.Durable = telemetry.DurableAccepted
	case c.Durable:
		record.Durable = telemetry.DurableRun
	}
	if c.Route != nil {
		record.VanityURL, record.Version = c.Route.VanityURL, c.Route.Algorithm
	}
	return record
}
