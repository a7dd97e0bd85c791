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
	inbox    []func()
	spare    []func()
	sleeping atomic.Bool

	clients  client // the ring of all callers' connections
	count    int
	again    []*client
	wires    map[*wire]*channel
	in, back []byte // what is read of a caller, and of a replica
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

const sweepEvery = 100 * time.Millisecond

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

// post makes the loop call f soon; from any goroutine, and never blocking.
func (l *loop) post(f func()) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
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
		n, err := rawPoll(l.ep, events), error(nil)
		if n <= 0 && !posted {
			l.sleeping.Store(true)
			if l.inboxEmpty() {
				n, err = unix.EpollWait(l.ep, events, int(sweepEvery/time.Millisecond))
			}
			l.sleeping.Store(false)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			l.e.log.Error("wait for events", "error", err)
			time.Sleep(sweepEvery)
		}
		for i := range max(0, n) {
			l.handle(&events[i])
		}
		for len(l.again) > 0 {
			cl := l.again[len(l.again)-1]
			l.again = l.again[:len(l.again)-1]
			l.guard(cl, func() { l.read(cl) })
		}
		if now := time.Now(); now.Sub(l.swept) >= sweepEvery {
			l.swept = now
			l.sweep(now)
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

func (l *loop) inboxEmpty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.inbox) == 0
}

func (l *loop) takeInbox() bool {
	l.mu.Lock()
	work := l.inbox
	l.inbox = l.spare[:0]
	l.mu.Unlock()
	for i, f := range work {
		f()
		work[i] = nil
	}
	l.spare = work
	return len(work) > 0
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
	cl.since = time.Now()
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
