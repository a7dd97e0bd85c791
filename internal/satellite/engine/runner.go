package engine

import (
	"context"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// durableRetry is how long a durable call waits until it looks for its algorithm's
// pool again, after one that was removed or has no room for a waiter.
const durableRetry = 500 * time.Millisecond

// runner makes the calls that nobody waits for. It is the engine as
// [async.Runner].
type runner struct{ e *Engine }

// durableSlot is a slot of a route's replica.
type durableSlot struct {
	e       *Engine
	route   *routing.Route
	replica *pool.Replica
}

// Reserve waits for a slot until ctx ends.
func (r runner) Reserve(ctx context.Context, vanityURL string, looking bool) (async.Slot, error) {
	for {
		route := r.e.table.Load().ByVanityURL[vanityURL]
		if route == nil {
			return nil, async.ErrUnknownAlgorithm
		}
		slot, err := route.Pool.Reserve(ctx, looking)
		if err == nil {
			return &durableSlot{r.e, route, slot}, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(durableRetry):
		}
	}
}

// Run reserves a slot and runs the input on it.
func (r runner) Run(ctx context.Context, in async.Input) async.Outcome {
	slot, err := r.Reserve(ctx, in.VanityURL, false)
	if err != nil {
		c := r.e.durableCall(&in)
		return c.Kept(protocol.Reply{}, notReserved(err, in.VanityURL))
	}
	return slot.Run(ctx, in)
}

// notReserved returns the failure of a call that got no slot.
func notReserved(err error, vanityURL string) *protocol.Failure {
	if err == async.ErrUnknownAlgorithm { //nolint:errorlint // Reserve's own, never wrapped
		return protocol.Refuse(http.StatusNotFound, "algorithm "+vanityURL+" not found")
	}
	return &protocol.Failure{Status: 499, Outcome: protocol.OutcomeCanceled, Message: err.Error(), Cause: err}
}

// Release gives the slot back unused.
func (s *durableSlot) Release() { s.route.Pool.Release(s.replica, pool.ClassDurable, pool.OutcomeOK) }

// Run makes the call on the slot, as it is made for a caller who waits.
func (s *durableSlot) Run(ctx context.Context, in async.Input) (out async.Outcome) {
	c := s.e.durableCall(&in)
	c.To(s.route)
	defer func() {
		if p := recover(); p != nil {
			c.Share.Release()
			out = c.Kept(protocol.Reply{}, s.e.panicked(c, p))
		}
	}()
	reply, f := s.run(ctx, c, &in)
	s.e.finish(c, f)
	return c.Kept(reply, f)
}

func (s *durableSlot) run(ctx context.Context, c *call.Call, in *async.Input) (protocol.Reply, *protocol.Failure) {
	body := memory.NewBuffer(len(in.Body))
	defer body.Release()
	body.B = append(body.B, in.Body...)
	f := c.ReadQuery(in.Query)
	if f == nil {
		f = c.ReadType(in.ContentType, in.Encoding)
	}
	if f == nil {
		c.Void = false // what it answers is kept
		f = c.CheckBody(body)
	}
	if f != nil {
		s.Release()
		return protocol.Reply{}, f
	}
	c.Span = s.e.tracer.Start(s.e.background, &c.Call, c.Route.VanityURL, c.Route.Algorithm)
	c.Share = s.e.replyShare(ctx, c)
	res, f := s.e.dispatch(ctx, c, body, s.replica)
	if f != nil {
		return protocol.Reply{}, f
	}
	return c.Reply(&res)
}

func (e *Engine) durableCall(in *async.Input) *call.Call {
	c := &call.Call{
		Call: protocol.Call{ID: in.RequestID, Start: time.Now()},
		Log:  e.log, Durable: true, Status: http.StatusOK, KeyID: in.KeyID,
	}
	c.Trace = protocol.ReadTrace(in.Traceparent, in.Tracestate)
	return c
}

// Runner returns what makes calls that nobody waits for.
func (e *Engine) Runner() async.Runner { return runner{e} }
