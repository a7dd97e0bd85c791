package engine

import (
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/peerloop"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// loop is one event loop with the calls that it serves. Everything it has is
// touched by its own goroutine alone.
type loop struct {
	*eventloop.Loop
	s *server
	e *Engine

	upstreams *upstream.Loop
	calls     atomic.Uint64
	clients   client // the ring of all callers' connections
	count     int
	links     *peerloop.Carrier
	held      int // what calls' bytes take of memory
	mayHold   int
	in        []byte // what is read of a caller, or of another engine
	out       []byte // what is written
	date      []byte
	dated     int64
	drained   func() // is called once no connection is left
}

// When there are no descriptors, connections that have been idle for longIdle
// make room, makeRoom of a loop at once.
const (
	longIdle = time.Second
	makeRoom = 100
)

func newLoop(s *server, on *eventloop.Loop, mayHold int) *loop {
	l := &loop{
		Loop: on, s: s, e: s.e, upstreams: upstream.NewLoop(on), mayHold: mayHold,
		in: make([]byte, http1.MaxHead+http1.MaxBody), out: make([]byte, 0, http1.MaxHead+http1.MaxBody),
	}
	l.links = peerloop.New(on, l.in)
	l.clients.next, l.clients.prev = &l.clients, &l.clients
	return l
}

// Close ends every connection.
func (l *loop) Close() {
	for l.clients.next != &l.clients {
		l.clients.next.state = clientIdle
		l.closeClient(l.clients.next)
	}
	l.links.Close()
}

// guard keeps a panic in one call from being the others' too.
func (l *loop) guard(cl *client, f func()) {
	defer func() {
		if p := recover(); p != nil {
			l.fail(cl, p)
		}
	}()
	f()
}

// fail ends a call that panicked, and the event loops with it.
func (l *loop) fail(cl *client, p any) {
	failure := l.e.panicked(&cl.Call, p)
	l.Group().TurnOff()
	defer func() {
		if recover() != nil { // it is too broken to be answered
			cl.conn.Close()
		}
	}()
	cl.counted = true
	if cl.up != nil {
		l.endExchange(cl)
	}
	if cl.state == clientCalling && cl.Queued() && cl.Route.Pool != nil && !cl.Route.Pool.Cancel(&cl.waiter) {
		defer func() { cl.Gone = true }() // its slot is on the way, and goes back
	}
	cl.Release(pool.OutcomeOK)
	if cl.Answering || !cl.conn.IsOpen() {
		cl.state = clientIdle
		l.closeClient(cl)
		return
	}
	out := cl.ErrorReply(failure)
	out.Close = true
	l.write(cl, out)
}

// Accept takes a new connection in.
func (l *loop) Accept(s eventloop.Socket) {
	if l.Stopping() || l.drained != nil {
		s.Close()
		return
	}
	cl := &client{l: l}
	if err := l.Watch(&cl.conn, s, cl); eventloop.IsTableFull(err) {
		if conn, err := s.NetConn(); err == nil {
			l.s.handOver(conn, nil, telemetry.CallDescriptors)
		}
		return
	} else if err != nil {
		cl.conn.Close()
		return
	}
	cl.since = l.Now()
	cl.prev, cl.next = l.clients.prev, &l.clients
	cl.prev.next, cl.next.prev = cl, cl
	l.count++
}

// remove takes a connection out of the ring.
func (l *loop) remove(cl *client) {
	if cl.next == nil {
		return
	}
	cl.prev.next, cl.next.prev = cl.next, cl.prev
	cl.prev, cl.next = nil, nil
	l.count--
	l.checkDrained()
}

func (l *loop) checkDrained() {
	if l.drained != nil && l.count == 0 {
		l.drained()
		l.drained = func() {}
	}
}

// closeIdleClients closes what waits for a call, when the engine drains.
func (l *loop) closeIdleClients() {
	for cl := l.clients.next; cl != &l.clients; {
		next := cl.next
		if cl.state == clientIdle {
			l.closeClient(cl)
		}
		cl = next
	}
	l.checkDrained()
}

// MakeRoom closes connections whose callers send nothing.
func (l *loop) MakeRoom() {
	closed := 0
	for cl, now := l.clients.next, time.Now(); cl != &l.clients && closed < makeRoom; {
		next := cl.next
		if cl.state == clientIdle && cl.in == nil && now.Sub(cl.since) > longIdle {
			l.closeClient(cl)
			closed++
		}
		cl = next
	}
}

// Sweep is all the timing there is.
func (l *loop) Sweep(now time.Time) {
	for cl := l.clients.next; cl != &l.clients; {
		next := cl.next
		l.guard(cl, func() { l.sweepClient(cl, now) })
		if cl = next; cl.next == nil && cl != &l.clients {
			return // the next one went too: the rest waits for the next sweep
		}
	}
}
