package engine

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loop is one of the fast path's event loops. Everything it owns is touched
// by its own goroutine alone; others post to it.
type loop struct {
	f        *front
	e        *Engine
	ep, wake int
	accepting

	mu       sync.Mutex
	inbox    []letter
	spare    []letter
	mail     atomic.Bool // the inbox has something
	sleeping atomic.Bool
	turns    int       // with something to do, since the last sweep
	busy     bool      // it has something to do all the time, and never waits long
	at       time.Time // when it began with what it is doing

	clients  client // the ring of all callers' connections
	count    int
	again    []*client
	wires    map[*wire]*channel
	in, back []byte // what is read of a caller, and of a replica
	lent     buffer // the answer that is being passed on
	out      []byte // what is written
	date     []byte
	dated    int64
	swept    time.Time
	drained  func() // told once no connection is left
	stopping bool
	ended    chan struct{}
}

// What an event that is not a connection's has in place of its descriptor.
const (
	wakeEvent     = -1
	listenerEvent = -2
)

const (
	sweepEvery = 100 * time.Millisecond
	// A loop that had something to do busyTurns times between two sweeps waits
	// without telling the runtime, for busyPatience milliseconds at most. Else
	// Go's monitor takes the processor from a loop in almost every wait, which
	// keeps the monitor awake and makes loops wander between threads: 2 % of
	// two cores, and the end of the latencies. A quiet loop lets the monitor
	// sleep.
	busyTurns    = 100
	busyPatience = 1
)

// letter is what others post to a loop: something to do, or the pool's word
// to one of its calls.
type letter struct {
	do  func()
	to  *client
	r   *replica
	err error
}

func newLoop(f *front) (*loop, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an event loop: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(ep)
		return nil, fmt.Errorf("make an event loop: %w", err)
	}
	l := &loop{
		f: f, e: f.e, ep: ep, wake: wake, accepting: accepting{listener: -1}, swept: time.Now(), ended: make(chan struct{}), wires: map[*wire]*channel{},
		in: make([]byte, maxPlainHead+maxPlainBody), back: make([]byte, 64<<10), out: make([]byte, 0, maxPlainHead+maxPlainBody),
	}
	l.clients.next, l.clients.prev = &l.clients, &l.clients
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, wake, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeEvent}); err != nil {
		_, _ = unix.Close(ep), unix.Close(wake)
		return nil, fmt.Errorf("make an event loop: %w", err)
	}
	go l.run()
	return l, nil
}

// post makes the loop call do soon; from any goroutine, and never blocking.
func (l *loop) post(do func()) { l.deliver(letter{do: do}) }

func (l *loop) deliver(m letter) {
	l.mu.Lock()
	l.inbox = append(l.inbox, m)
	l.mail.Store(true)
	l.mu.Unlock()
	if l.sleeping.CompareAndSwap(true, false) {
		_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	}
}

func (l *loop) run() {
	defer close(l.ended)
	events := make([]unix.EpollEvent, 256)
	for !l.stopping {
		posted := l.takeInbox()
		n, err := rawPoll(l.ep, events, 0), error(nil)
		if n <= 0 && !posted {
			n, err = l.wait(events)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			l.e.log.Error("wait for events", "error", err)
			time.Sleep(sweepEvery)
		}
		if n > 0 || posted {
			l.turns++
		}
		for i := range max(0, n) {
			l.handle(&events[i])
		}
		for len(l.again) > 0 {
			cl := l.again[len(l.again)-1]
			l.again = l.again[:len(l.again)-1]
			l.guard(cl, func() { l.read(cl) })
		}
		if l.at = time.Now(); l.at.Sub(l.swept) >= sweepEvery {
			l.swept = l.at
			l.busy, l.turns = l.turns >= busyTurns, 0
			l.sweep(l.at)
		}
	}
	l.refuse()
	for l.clients.next != &l.clients {
		l.clients.next.state = clientIdle
		l.closeClient(l.clients.next)
	}
	for w := range l.wires {
		l.endWire(w, net.ErrClosed)
	}
	_, _ = unix.Close(l.ep), unix.Close(l.wake)
}

func (l *loop) stop() { l.stopping = true }

// wait waits for events, a letter or the next sweep.
func (l *loop) wait(events []unix.EpollEvent) (n int, err error) {
	l.sleeping.Store(true)
	defer l.sleeping.Store(false)
	if l.mail.Load() {
		return 0, nil
	}
	if l.busy {
		if n = rawPoll(l.ep, events, busyPatience); n > 0 {
			return n, nil
		}
	}
	return unix.EpollWait(l.ep, events, int(sweepEvery/time.Millisecond))
}

// takeInbox does what was posted, and says whether anything was.
func (l *loop) takeInbox() bool {
	if !l.mail.Load() {
		return false
	}
	l.mu.Lock()
	work := l.inbox
	l.inbox = l.spare[:0]
	l.mail.Store(false)
	l.mu.Unlock()
	for i := range work {
		m := &work[i]
		l.at = time.Now()
		if m.do != nil {
			m.do()
		} else {
			l.guard(m.to, func() { l.onGrant(m.to, m.r, m.err) })
		}
		*m = letter{}
	}
	l.spare = work
	return true
}

func (l *loop) handle(ev *unix.EpollEvent) {
	switch ev.Fd {
	case wakeEvent:
		var b [8]byte
		_, _ = unix.Read(l.wake, b[:])
		return
	case listenerEvent:
		l.accept()
		return
	}
	l.at = time.Now()
	s := l.f.table[ev.Fd].Load()
	if s == nil || s.gen != ev.Pad {
		return // of a descriptor that was closed meanwhile
	}
	if s.up != nil {
		if up := s.up; up.l == l {
			if cl := up.cl; cl != nil {
				l.guard(cl, func() { l.upstreamEvent(cl, up, ev.Events) })
			} else if ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 && up.r.removeSwift(up) {
				l.f.drop(&up.src) // the replica ended an idle connection
			}
		}
		return
	}
	if s.wire != nil {
		l.wireEvent(s.wire, ev.Events)
		return
	}
	if s.client.l == l {
		l.guard(s.client, func() { l.clientEvent(s.client, ev.Events) })
	}
}

// guard keeps a panic in one call from being the others' too.
func (l *loop) guard(cl *client, f func()) {
	defer func() {
		if p := recover(); p != nil {
			failure := l.e.panicked(&cl.call, p)
			cl.counted = true
			if cl.up != nil {
				l.endExchange(cl, false)
			}
			cl.give(verdictFine)
			if cl.answering || cl.src.fd < 0 {
				l.closeClient(cl)
				return
			}
			out := cl.failed(failure)
			out.close = true
			l.write(cl, out)
		}
	}()
	f()
}

// add takes a new connection in.
func (l *loop) add(cl *client) {
	if l.stopping || l.drained != nil || l.f.register(l, &cl.src) != nil {
		l.f.drop(&cl.src)
		return
	}
	cl.since = l.at
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

// sweep is all the timing there is: no connection has a timer of its own.
func (l *loop) sweep(now time.Time) {
	l.acceptAgain()
	for cl := l.clients.next; cl != &l.clients; {
		next := cl.next
		l.guard(cl, func() { l.sweepClient(cl, now) })
		if cl = next; cl.next == nil && cl != &l.clients {
			return // the next one went too: the rest waits for the next sweep
		}
	}
}
