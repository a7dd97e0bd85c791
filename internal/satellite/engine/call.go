package engine

import (
	"context"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
)

// call is one algorithm call on its way through the engine.
type call struct {
	protocol.Call
	lifecycle
	route     *routing.Route
	keyID     string
	warning   string         // of the satellite's expiry, for the caller
	span      telemetry.Span // nil without a collector
	wait      time.Duration
	replica   string
	status    int
	outcome   protocol.Outcome
	answering bool   // the answer is being written
	callback  string // where the key has results posted; of calls whose caller does not wait
	accepted  bool   // it was stored to be run later, or was to be
}

// to makes the call one of route's.
func (c *call) to(r *routing.Route) {
	c.route = r
	c.Langserver, c.Head, c.Timeout = r.IsLangserver(), r.Head, r.Timeout
}

// callRequest is what a request says that is not its body. The bytes are the
// caller's, valid for the time of admit.
type callRequest struct {
	method, path          string // path is what stands after /v1/algo/
	query                 string
	authorization         []byte
	contentType, encoding string
	traceparent           string
	tracestate            string
	from                  caller
}

// admit finds out who calls what, and how; nil when the call may go on.
func (e *Engine) admit(c *call, q *callRequest) *protocol.Failure {
	c.Trace = protocol.ReadTrace(q.traceparent, q.tracestate)
	if q.method != http.MethodPost {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "algorithms are called with POST")
		f.Allow = http.MethodPost
		return f
	}
	t := e.table.Load()
	now := e.now()
	key, f := e.authorize(q.authorization, q.from)
	c.keyID = key.ID
	if f != nil {
		return f
	}
	if key.Limited() && !keyring.IsOwn(key.Key) { // the own key's rate is each engine's
		e.mesh.NotifySpent(key.ID)
	}
	c.warning = t.Warning.Text(now)
	r, f := t.Called(&key, q.path)
	if r != nil {
		c.to(r)
	}
	if f != nil {
		return f
	}
	if f := c.ReadQuery(q.query); f != nil {
		return f
	}
	if c.Void {
		if e.durable.Settings() == nil {
			return protocol.Refuse(http.StatusBadRequest, "output=void is not available: this satellite has no queue; call without it")
		}
		c.callback = key.CallbackURL
	}
	c.span = e.tracer.Start(e.background, &c.Call, c.route.VanityURL, c.route.Algorithm)
	return c.ReadType(q.contentType, q.encoding)
}

// replyShare is the call's share of the replies' budget, nothing as yet.
func (e *Engine) replyShare(ctx context.Context, c *call) *memory.Share {
	return e.replies.Share(ctx, c.keyID, c.Deadline(), c.Weigh)
}

// finish counts and logs a call.
func (e *Engine) finish(c *call, f *protocol.Failure) {
	if f != nil {
		c.outcome, c.status = f.Outcome, f.Status
		if c.Raw && c.status == http.StatusOK {
			c.status = http.StatusBadRequest
		}
	}
	record := c.record(f)
	if c.route == nil {
		e.metrics.ObserveUnrouted(c.status)
	} else if !c.accepted { // which counts when it runs
		c.route.Metrics.Observe(&record)
	}
	record.End(c.span)
	e.access.Write(&record)
}

// record returns what is recorded of a call that has ended.
func (c *call) record(f *protocol.Failure) telemetry.Call {
	record := telemetry.Call{
		ID: c.ID, Start: c.Start, Status: c.status, Outcome: c.outcome, Wait: c.wait, Run: c.Run,
		Replica: c.replica, KeyID: c.keyID, Trace: &c.Trace, Failure: f,
	}
	switch {
	case c.accepted:
		record.Durable = telemetry.DurableAccepted
	case c.durable:
		record.Durable = telemetry.DurableRun
	}
	if c.route != nil {
		record.VanityURL, record.Version = c.route.VanityURL, c.route.Algorithm
	}
	return record
}
