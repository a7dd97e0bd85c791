package engine

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/authn"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// callRequest is what a request says that is not its body. The bytes are the
// caller's, valid for the time of admit.
type callRequest struct {
	table                 *routing.Table
	to                    routing.Target
	method, path          string // path is what stands after /v1/algo/
	prefix                string // what stands before it
	query                 string
	authorization         []byte
	contentType, encoding string
	traceparent           string
	tracestate            string
	from                  authn.Caller
}

// admit finds out who calls what, and how; nil when the call may go on.
func (e *Engine) admit(c *call.Call, q *callRequest) *protocol.Failure {
	c.Trace = protocol.ReadTrace(q.traceparent, q.tracestate)
	if q.method != http.MethodPost {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "algorithms are called with POST")
		f.Allow = http.MethodPost
		return f
	}
	if f := e.identify(c, q); f != nil {
		return f
	}
	if f := c.ReadQuery(q.query); f != nil {
		return f
	}
	if c.Void {
		if e.durable.Settings() == nil {
			return protocol.Refuse(http.StatusBadRequest, "output=void is not available: this satellite has no queue; call without it")
		}
		if f := c.Route.RefusesDurable(); f != nil {
			return f
		}
	}
	c.Span = e.tracer.Start(e.background, &c.Call, c.Route.VanityURL, c.Route.Algorithm)
	return c.ReadType(q.contentType, q.encoding)
}

// identify finds out whose call it is, and whether the key may make it.
func (e *Engine) identify(c *call.Call, q *callRequest) *protocol.Failure {
	key, f := e.callers.Authenticate(q.authorization, q.from)
	c.KeyID, c.Subject = key.ID, key.Subject()
	if f != nil {
		return f
	}
	if key.Limited() && !keyring.IsOwn(key.Key) { // the own key's rate is each engine's
		e.mesh.NotifySpent(key.ID)
	}
	c.Warning, c.Callback = q.table.Warning.Text(e.now()), key.CallbackURL
	if q.to.Route != nil {
		c.To(q.to.Route)
	}
	return q.table.Check(&key, q.to.Route, q.path)
}

// authenticate returns who makes a request that is no call.
func (e *Engine) authenticate(r *http.Request) (key keyring.Key, f *protocol.Failure) {
	q := &callRequest{authorization: []byte(r.Header.Get("Authorization")), from: authn.RemoteOf(r)}
	f = e.await(r.Context(), q, func() (f *protocol.Failure) {
		key, f = e.callers.Authenticate(q.authorization, q.from)
		return f
	})
	return key, f
}

// replyShare is the call's share of the replies' budget, nothing as yet.
func (e *Engine) replyShare(ctx context.Context, c *call.Call) *memory.Share {
	return e.replies.Share(ctx, c.KeyID, c.Deadline(), c.Weigh)
}

// finish counts and logs a call.
func (e *Engine) finish(c *call.Call, f *protocol.Failure) {
	if f != nil {
		c.Outcome, c.Status = f.Outcome, f.Status
		if c.Raw && c.Status == http.StatusOK {
			c.Status = http.StatusBadRequest
		}
	}
	record := c.Record(f)
	if c.Route == nil {
		e.metrics.ObserveUnrouted(c.Status)
	} else if !c.Accepted { // which counts when it runs
		c.Route.Metrics.Observe(&record)
	}
	record.End(c.Span)
	e.access.Write(&record)
}
