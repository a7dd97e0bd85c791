package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/passthrough"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// servePassed passes a request on to its algorithm, and the answer back.
func (e *Engine) servePassed(w http.ResponseWriter, r *http.Request, q *callRequest) {
	c := e.newCall(r)
	defer e.rescue(c, w)
	f := e.pass(c, w, r, q)
	if f == nil {
		e.finish(c, nil)
		return
	}
	f.Status = f.PlainStatus()
	if c.Answering || f.Outcome == protocol.OutcomeCanceled {
		e.finish(c, f)
		panic(http.ErrAbortHandler) // the caller sees that it broke off
	}
	c.Answering = true
	if passthrough.IsGRPC(r) {
		passthrough.RefuseGRPC(w, f.Status, f.Message)
	} else {
		out := protocol.ErrorReply(f)
		out.Close = w.Header().Get("Connection") != ""
		_ = e.write(w, c, out)
	}
	e.finish(c, f)
}

func (e *Engine) pass(c *call.Call, w http.ResponseWriter, r *http.Request, q *callRequest) *protocol.Failure {
	target, f := e.admitPassed(r, c, q)
	if f != nil {
		discard(w, r)
		return f
	}
	route := c.Route
	header := w.Header()
	header["X-Request-Id"] = []string{c.ID}
	if c.Warning != "" {
		header["X-Constellation-Warning"] = []string{c.Warning}
	}
	if e.draining.Load() && r.ProtoMajor == 1 {
		header["Connection"] = []string{"close"}
	}
	prefix := q.prefix + route.VanityURL
	x := passthrough.New(w, r, passthrough.Options{
		Target: target, Prefix: prefix, Base: route.Path, HTTP2: route.HTTP2,
		Idle: route.Idle(c.Timeout), MaxBody: route.MaxBodyBytes(), Cookies: passthrough.NewCookies(prefix),
		RequestID: c.ID, Traceparent: c.Trace.Parent, Tracestate: c.Trace.State,
	})
	defer x.Close()
	defer c.Release(pool.OutcomeOK) // after a panic
	if f = e.passOn(r.Context(), c, x); f != nil && !c.Answering && x.Unread() {
		header["Connection"] = []string{"close"}
	}
	return f
}

// admitPassed finds out who calls what, as admit does, and where at the algorithm.
func (e *Engine) admitPassed(r *http.Request, c *call.Call, q *callRequest) (*url.URL, *protocol.Failure) {
	c.Trace = protocol.ReadTrace(q.traceparent, q.tracestate)
	if f := e.await(r.Context(), q, func() *protocol.Failure { return e.identify(c, q) }); f != nil {
		return nil, f
	}
	if q.method == http.MethodPost && strings.Trim(q.to.Rest, "/") == "" && !c.Route.IsNative() {
		if f := c.ReadQuery(q.query); f != nil { // it is a call but for its answer
			return nil, f
		}
	}
	target, err := passthrough.Target(c.Route.Path, q.to.Rest)
	limit := c.Route.MaxBodyBytes()
	upgrade := passthrough.IsUpgrade(r)
	switch {
	case err != nil:
		return nil, protocol.Refuse(http.StatusBadRequest, err.Error())
	case r.Method == http.MethodConnect:
		return nil, protocol.Refuse(http.StatusBadRequest, "an algorithm is no proxy: CONNECT is not passed on")
	case upgrade != "" && (upgrade != passthrough.WebSocket || c.Route.HTTP2):
		return nil, protocol.Refuse(http.StatusBadRequest, "a connection can be upgraded to websocket alone, and not for an algorithm that speaks HTTP/2; leave the Upgrade header out")
	case limit > 0 && r.ContentLength > limit:
		return nil, tooLargeFor(c.Route)
	}
	c.Span = e.tracer.Start(e.background, &c.Call, c.Route.VanityURL, c.Route.Algorithm)
	return target, nil
}

func tooLargeFor(r *routing.Route) *protocol.Failure {
	return protocol.Refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %s, which is the most that %s takes", r.MaxBody, r.VanityURL))
}

// passOn drives a call that is passed on: it waits for a slot, which it holds until
// the answer has ended, and asks another replica when the first surely did not
// start it.
func (e *Engine) passOn(ctx context.Context, c *call.Call, x *passthrough.Exchange) *protocol.Failure {
	for {
		retry := c.Enqueue(time.Now())
		slot, err := waitForSlot(ctx, c, c.Deadline(), retry)
		c.Gone = ctx.Err() != nil
		if f := c.EndWait(slot, err, time.Now()); f != nil {
			return f
		}
		replica := call.ReplicaOf(slot)
		replica.YieldIdle()
		res, err := x.Send(e.passing, replica.Addr()) //nolint:bodyclose // answerPassed passes it on and closes it
		c.Gone = ctx.Err() != nil
		if upstream.NotStarted(err) {
			if f := c.RetryOrEnd(err, time.Now()); f != nil {
				return f
			}
			continue
		}
		c.MarkSent()
		if err != nil {
			return breakPassed(c, err)
		}
		return e.answerPassed(ctx, c, x, res)
	}
}

// answerPassed gives the caller what the replica answers, to its end.
func (e *Engine) answerPassed(ctx context.Context, c *call.Call, x *passthrough.Exchange, res *http.Response) *protocol.Failure {
	c.Answering, c.Status = true, res.StatusCode
	var err error
	if res.StatusCode == http.StatusSwitchingProtocols {
		err = x.Upgrade(res, &e.sockets)
	} else {
		err = x.Answer(res)
	}
	c.Gone = ctx.Err() != nil || errors.Is(err, passthrough.ErrCallerStalled)
	if err != nil {
		return breakPassed(c, err)
	}
	c.End(time.Now())
	if passthrough.Failed(res) {
		c.Outcome = protocol.OutcomeError
	}
	return nil
}

// breakPassed ends a call that broke off, by its caller's fault or its replica's.
func breakPassed(c *call.Call, err error) *protocol.Failure {
	f := c.BreakOff(err, time.Now())
	switch {
	case errors.Is(err, passthrough.ErrTooLarge):
		return tooLargeFor(c.Route)
	case errors.Is(err, passthrough.ErrCutOff):
		f = protocol.Refuse(http.StatusBadRequest, passthrough.ErrCutOff.Error())
		f.Cause = err
	}
	return f
}
