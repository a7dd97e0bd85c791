package engine

import (
	"bytes"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// client is a caller's connection on the fast path, and the call it is making.
type client struct {
	conn       eventloop.Conn
	l          *loop
	prev, next *client
	state      clientState
	since      time.Time      // of the state
	in         *memory.Buffer // a call that is not complete yet; nil when none
	more       bool           // something came while a call was going on
	ended      bool           // the caller sends no more
	close      bool           // after this answer
	counted    bool           // the call is in the metrics

	cut     func()    // ends an answer that a goroutine reads
	rest    [4][]byte // of an answer that is being written
	restOut protocol.Reply

	call.Call
	body    *memory.Buffer
	holds   int // what in and body have of the loop's memory for calls
	waiter  pool.Waiter
	granted *pool.Replica // by OnSlot, on any goroutine
	refusal error         // likewise
	up      *upstream.Stream
}

type clientState byte

const (
	clientIdle    clientState = iota // or reading a call
	clientCalling                    // a call is between its admission and its end
	clientWriting                    // an answer
)

const (
	clientIdleFor  = 3 * time.Minute
	clientReadFor  = time.Second // then net/http waits for the rest, with its time-outs
	clientWriteFor = writeStall  // with nothing taken
)

func (l *loop) set(cl *client, s clientState) { cl.state, cl.since = s, l.Now() }

func (l *loop) clientEvent(cl *client, ev eventloop.Events) {
	if ev.Ended() {
		cl.ended = true
		if cl.state != clientIdle && (ev.Broken() || !cl.willBeAnswered(l.Now())) {
			l.leave(cl)
			return
		}
	}
	if ev.Writable() && cl.state == clientWriting {
		l.writeRest(cl)
	}
	if ev.Readable() {
		if cl.state == clientIdle {
			l.read(cl)
		} else {
			cl.more = true
		}
	}
}

// willBeAnswered reports whether the call ends in an answer without its caller's
// help: one who closed only their half may wait for it, and one who left
// costs no more than a write. Any other call of theirs is dropped.
func (cl *client) willBeAnswered(now time.Time) bool {
	return cl.state == clientWriting || cl.state == clientCalling && cl.EndsWithoutCaller(now)
}

// read reads what there is and starts the call when it is complete.
func (l *loop) read(cl *client) {
	for cl.state == clientIdle && cl.conn.IsOpen() {
		cl.more = false
		into := l.in
		if cl.in != nil {
			cl.in.Grow(len(cl.in.B) + 4<<10)
			into = cl.in.B[len(cl.in.B):cap(cl.in.B)]
		}
		n, err := cl.conn.Read(into)
		switch {
		case eventloop.IsAgain(err):
			return
		case err != nil:
			l.hungUp(cl)
			return
		}
		data := into[:n]
		if cl.in != nil {
			cl.in.B = cl.in.B[:len(cl.in.B)+n]
			data = cl.in.B
		}
		l.consume(cl, data)
		if n < len(into) && !cl.ended {
			return
		}
		cl.more = true
	}
}

// hungUp is a caller who closed between calls, or in the middle of sending
// one: that is net/http's to answer.
func (l *loop) hungUp(cl *client) {
	if cl.in != nil && len(cl.in.B) > 0 {
		l.handOver(cl, cl.in.B, telemetry.CallUnfinished)
		return
	}
	l.closeClient(cl)
}

// outputVoid stands in the query of a call that is stored to run later, which
// net/http waits for.
var outputVoid = []byte("output=void")

// consume starts the call that data is, waits for more of it, or hands the
// connection over to net/http.
func (l *loop) consume(cl *client, data []byte) {
	if l.Group().IsOff() {
		l.handOver(cl, data, telemetry.CallOff)
		return
	}
	var h http1.Call
	switch read := http1.ReadCall(data, &h); {
	case read == http1.Other:
		l.handOver(cl, data, telemetry.CallNotPlain)
		return
	case l.held > l.mayHold:
		l.handOver(cl, data, telemetry.CallMemory)
		return
	case read == http1.Plain:
		if len(h.Query) > 0 && bytes.Contains(h.Query, outputVoid) {
			l.handOver(cl, data, telemetry.CallVoid)
			return
		}
		if whole := h.End + h.Length; len(data) == whole {
			l.begin(cl, data, &h)
			return
		} else if len(data) > whole {
			l.handOver(cl, data, telemetry.CallPipelined)
			return
		}
	}
	if cl.in == nil {
		cl.in = memory.NewBuffer(len(data) + 4<<10)
		cl.in.B = append(cl.in.B, data...)
		cl.since = l.Now()
	}
	l.account(cl)
}

// account notes what a call's bytes take. Calls that come when it is too much
// in all are net/http's, which reads no body before it knows the caller.
func (l *loop) account(cl *client) {
	holds := 0
	if cl.in != nil {
		holds = cap(cl.in.B)
	}
	if cl.body != nil {
		holds += cap(cl.body.B)
	}
	l.held += holds - cl.holds
	cl.holds = holds
}

// handOver hands the connection over to net/http, with what was read.
func (l *loop) handOver(cl *client, data []byte, why telemetry.Handover) {
	if conn, err := cl.conn.Detach(); err != nil {
		l.e.log.Warn("a connection was dropped", "error", err)
	} else {
		l.s.handOver(conn, data, why)
	}
	cl.in.Release()
	cl.in = nil
	l.account(cl)
	l.remove(cl)
}

// closeClient closes the connection. A call that goes on without its caller
// keeps the client until it ends.
func (l *loop) closeClient(cl *client) {
	cl.conn.Close()
	cl.in.Release()
	cl.in = nil
	l.account(cl)
	cl.rest = [4][]byte{}
	cl.restOut.Release()
	if cl.state != clientCalling {
		l.remove(cl)
	}
}

// leave is a caller who left during a call.
func (l *loop) leave(cl *client) {
	if cl.Gone {
		return
	}
	cl.Gone, cl.ended = true, true
	switch cl.state {
	case clientCalling:
		switch {
		case cl.Queued():
			if cl.Route.Pool.Cancel(&cl.waiter) {
				l.answer(cl, nil, cl.NotServed(pool.ErrCallerGone))
			}
		case cl.EndsWithoutCaller(l.Now()):
		case cl.up != nil:
			l.endExchange(cl)
			l.answer(cl, nil, cl.BreakOff(pool.ErrCallerGone, l.Now()))
		case cl.cut != nil:
			cl.cut()
		}
	case clientWriting:
		l.finishCall(cl, nil)
		l.closeClient(cl)
	}
	if cl.conn.IsOpen() {
		cl.conn.Close()
	}
}

func (l *loop) sweepClient(cl *client, now time.Time) {
	switch cl.state {
	case clientIdle:
		switch age := now.Sub(cl.since); {
		case cl.in != nil && age > clientReadFor:
			l.handOver(cl, cl.in.B, telemetry.CallUnfinished)
		case age > clientIdleFor:
			l.closeClient(cl)
		}
	case clientCalling:
		switch {
		case cl.ended && cl.Queued() && !cl.willBeAnswered(now):
			l.leave(cl)
		case !now.After(cl.Deadline()):
		case cl.Queued():
			if cl.Route.Pool.Cancel(&cl.waiter) {
				l.answer(cl, nil, cl.TimeOutWait(now))
			}
		case cl.up != nil:
			l.endExchange(cl)
			l.answer(cl, nil, cl.BreakOff(upstream.ErrTimedOut, now))
		}
	case clientWriting:
		if now.Sub(cl.since) > clientWriteFor {
			l.leave(cl)
		}
	}
}

// Host returns the caller's address; "" when the kernel does not know it.
func (cl *client) Host() string { return cl.conn.RemoteHost() }

// Ready is called when the caller's connection can be read or written.
func (cl *client) Ready(ev eventloop.Events) {
	cl.l.guard(cl, func() { cl.l.clientEvent(cl, ev) })
}

// nextRead is a client of which something came during its call.
type nextRead client

// Run reads it.
func (r *nextRead) Run() {
	cl := (*client)(r)
	cl.l.guard(cl, func() { cl.l.read(cl) })
}
