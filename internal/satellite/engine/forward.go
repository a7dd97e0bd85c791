package engine

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/authn"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// begin starts a complete call.
func (l *loop) begin(cl *client, data []byte, h *http1.Call) {
	body := memory.NewBuffer(h.Length)
	body.B = append(body.B, data[h.End:]...)
	cl.Call = call.Call{Call: protocol.Call{ID: protocol.RequestID(string(h.RequestID)), Start: l.Now()}, Log: l.e.log, Status: http.StatusOK}
	cl.waiter, cl.counted, cl.close, cl.body = pool.Waiter{}, false, h.Close, body
	q := &callRequest{
		table: l.e.table.Load(), method: http.MethodPost, path: string(h.Path), query: string(h.Query),
		authorization: h.Authorization, contentType: protocol.MediaType(h.ContentType), encoding: string(h.Encoding),
		traceparent: string(h.Traceparent), tracestate: string(h.Tracestate),
		from: cl,
	}
	q.to = q.table.Lookup(routing.Request{Method: q.method, Path: q.path, Raw: q.path, Query: q.query, Accept: data[:h.End]})
	if q.to.Passed {
		body.Release()
		cl.body = nil
		l.handOver(cl, data, telemetry.CallPassed)
		return
	}
	f := l.e.admit(&cl.Call, q)
	if authn.MayAwait(f) { // net/http waits until it is known
		body.Release()
		cl.body = nil
		l.handOver(cl, data, telemetry.CallUnknownPod)
		return
	}
	l.calls.Add(1)
	cl.in.Release()
	cl.in = nil
	if f == nil {
		f = cl.CheckBody(body)
	}
	l.account(cl)
	if f != nil {
		l.answer(cl, nil, f)
		return
	}
	l.acquire(cl)
}

// acquire asks the pool for a slot.
func (l *loop) acquire(cl *client) {
	l.set(cl, clientCalling)
	cl.waiter = pool.Waiter{Caller: cl, Key: cl.KeyID, Retry: cl.Enqueue(l.Now())}
	if cl.ended && !cl.Langserver { // as when it ends a moment later
		cl.Gone = true
		l.answer(cl, nil, cl.NotServed(pool.ErrCallerGone))
		return
	}
	slot, err := cl.Route.Pool.Acquire(&cl.waiter)
	if slot != nil || err != nil {
		l.connect(cl, slot, err)
	}
}

// OnSlot is called on any goroutine.
func (cl *client) OnSlot(slot *pool.Replica, err error) {
	cl.granted, cl.refusal = slot, err
	cl.l.Post((*slotTask)(cl))
}

// slotTask is a client whose call got a slot, or why it gets none.
type slotTask client

// Run goes on with the call.
func (t *slotTask) Run() {
	cl := (*client)(t)
	slot, err := cl.granted, cl.refusal
	cl.granted, cl.refusal = nil, nil
	cl.l.guard(cl, func() { cl.l.connect(cl, slot, err) })
}

// connect sends a call that has its slot on an idle connection, or else on a new
// one.
func (l *loop) connect(cl *client, slot *pool.Replica, err error) {
	if f := cl.EndWait(slot, err, l.Now()); f != nil {
		l.answer(cl, nil, f)
		return
	}
	r := call.ReplicaOf(slot)
	for s := l.upstreams.Reuse(r.Host); s != nil; s = l.upstreams.Reuse(r.Host) {
		if l.send(cl, s) {
			return
		}
		s.Close()
	}
	l.dial(cl, r)
}

// send sends the call on a connection, and reports false when not one byte of it
// went out.
func (l *loop) send(cl *client, s *upstream.Stream) bool {
	if !s.Send(cl, &cl.Call.Call, cl.body.B) {
		return false
	}
	cl.up = s
	cl.MarkSent()
	return true
}

// dial connects to the call's replica, on a goroutine.
func (l *loop) dial(cl *client, r *call.Replica) {
	deadline := cl.Deadline()
	go func() {
		socket, err := r.Dial(l.e.background, deadline)
		l.PostFunc(func() { l.guard(cl, func() { l.dialed(cl, r, socket, err) }) })
	}()
}

func (l *loop) dialed(cl *client, r *call.Replica, socket eventloop.Socket, err error) {
	switch {
	case err != nil:
	case cl.Gone:
		socket.Close()
		err = pool.ErrCallerGone
	default:
		var s *upstream.Stream
		if s, err = l.upstreams.NewStream(r.Host, socket); err != nil {
			break
		}
		if l.send(cl, s) {
			return
		}
		s.Close()
		err = upstream.ErrEndedAtOnce
	}
	if f := cl.RetryOrEnd(err, l.Now()); f != nil {
		l.answer(cl, nil, f)
		return
	}
	l.acquire(cl)
}

// endExchange closes the connection that carries the call.
func (l *loop) endExchange(cl *client) {
	cl.up.End(false)
	cl.up = nil
}

// Recover keeps a panic in f, which is about this call, from being others' too.
func (cl *client) Recover(f func()) { cl.l.guard(cl, f) }

// OnAnswer is called with the replica's answer.
func (cl *client) OnAnswer(a protocol.Answer) {
	cl.up = nil
	cl.l.ran(cl, a)
}

// OnBroken is called when the exchange ended before its answer did.
func (cl *client) OnBroken(err error) {
	cl.up = nil
	cl.l.answer(cl, nil, cl.BreakOff(err, cl.l.Now()))
}

// OnRest is called with an answer that is read as any other call's is: on a
// goroutine, with net/http.
func (cl *client) OnRest(rest *upstream.Rest) {
	l := cl.l
	cl.up = nil
	why := telemetry.AnswerNotPlain
	if rest.Large {
		why = telemetry.AnswerLarge
	}
	l.e.paths.CountHandover(why)
	deadline, limit := cl.Deadline(), cl.AnswerLimit()
	ctx, cancel := context.WithDeadline(l.e.background, deadline)
	cl.cut = cancel
	share := l.e.replyShare(ctx, &cl.Call)
	cl.Share = share
	go func() {
		defer cancel()
		a, err := rest.Read(ctx, deadline, limit, share)
		l.PostFunc(func() { l.guard(cl, func() { l.slowlyAnswered(cl, a, err) }) })
	}()
}

// ran answers the caller with what the replica answered.
func (l *loop) ran(cl *client, a protocol.Answer) {
	res, f := cl.Complete(a, l.Now())
	var out protocol.Reply
	if f == nil {
		out, f = cl.Reply(&res)
	}
	if f != nil {
		l.answer(cl, nil, f)
		return
	}
	l.answer(cl, &out, nil)
}

func (l *loop) slowlyAnswered(cl *client, a protocol.Answer, err error) {
	cl.cut = nil
	if err != nil {
		l.answer(cl, nil, cl.BreakOff(err, l.Now()))
		return
	}
	l.ran(cl, a)
}
