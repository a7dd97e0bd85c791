package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
)

// ErrTimedOut is the error of an exchange whose time-out passed.
var ErrTimedOut = errors.New("the call timed out")

// notStartedError is a failure before the replica got one byte of the call.
type notStartedError struct{ err error }

// Error returns the cause's text.
func (e notStartedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e notStartedError) Unwrap() error { return e.err }

// NotStarted reports whether an exchange failed before its replica got one byte
// of the call, so that another replica may be tried.
func NotStarted(err error) bool {
	_, ok := errors.AsType[notStartedError](err)
	return ok
}

// IdleFor is how long a connection is kept for the next call. A langserver has
// a thread for each connection, and common servers close idle ones after 2 s:
// we must be first.
const IdleFor = time.Second

const dialTimeout = 3 * time.Second

// Host is the connections to one replica.
type Host struct {
	addr string

	mu      sync.Mutex
	idle    []*conn   // of exchanges on goroutines
	streams []*Stream // of exchanges on event loops
	closed  bool
}

// NewHost returns the connections to the replica at addr: none as yet.
func NewHost(addr string) *Host { return &Host{addr: addr} }

// Addr returns the replica's address.
func (h *Host) Addr() string { return h.addr }

// Close closes the idle connections, and keeps none from now on.
func (h *Host) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.CloseIdle(time.Time{})
}

// Open keeps connections again.
func (h *Host) Open() {
	h.mu.Lock()
	h.closed = false
	h.mu.Unlock()
}

// CloseIdle closes connections unused since before; the zero time is all.
func (h *Host) CloseIdle(before time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	isOld := func(used time.Time) bool { return before.IsZero() || used.Before(before) }
	h.streams = slices.DeleteFunc(h.streams, func(s *Stream) bool {
		if !isOld(s.used) {
			return false
		}
		s.conn.Close()
		return true
	})
	h.idle = slices.DeleteFunc(h.idle, func(c *conn) bool {
		if !isOld(c.used) {
			return false
		}
		_ = c.Close()
		return true
	})
}

// closeOneIdle closes an idle connection of a goroutine's, if there is one.
func (h *Host) closeOneIdle() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.idle); n > 0 {
		_ = h.idle[n-1].Close()
		h.idle = slices.Delete(h.idle, n-1, n)
	}
}

// closeOneStream closes an idle connection of an event loop's, if there is one.
func (h *Host) closeOneStream() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(h.streams); n > 0 {
		h.streams[n-1].conn.Close()
		h.streams = slices.Delete(h.streams, n-1, n)
	}
}

// YieldIdle closes an idle connection of either kind before somebody else makes
// one: a server may have no more threads than it has slots.
func (h *Host) YieldIdle() {
	h.closeOneIdle()
	h.closeOneStream()
}

// takeIdle takes an idle connection of a goroutine's, nil when there is none.
func (h *Host) takeIdle() *conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.idle)
	if n == 0 {
		return nil
	}
	c := h.idle[n-1]
	h.idle = slices.Delete(h.idle, n-1, n)
	return c
}

// keep stores a connection for the next call. There are never more than the
// replica has slots, since each came from a call that held one.
func (h *Host) keep(c *conn, now time.Time) {
	c.used = now
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		_ = c.Close()
		return
	}
	h.idle = append(h.idle, c)
}

// takeStream takes an idle connection of an event loop's, of this one if it has
// one; nil when there is none.
func (h *Host) takeStream(loop *eventloop.Loop) *Stream {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.streams)
	if n == 0 {
		return nil
	}
	at := n - 1
	for i := n - 1; i >= 0; i-- {
		if h.streams[i].conn.Loop() == loop {
			at = i
			break
		}
	}
	s := h.streams[at]
	h.streams = slices.Delete(h.streams, at, at+1)
	return s
}

// keepStream stores a connection for the next call, and reports whether it did.
func (h *Host) keepStream(s *Stream) bool {
	s.used = s.loop.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.streams = append(h.streams, s)
	return true
}

// removeStream takes s out if it is idle, and reports whether it was.
func (h *Host) removeStream(s *Stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.streams, s)
	if i >= 0 {
		h.streams = slices.Delete(h.streams, i, i+1)
	}
	return i >= 0
}

// dial makes a connection. A replica whose machine is gone says nothing any
// more: its calls end when the kernel has asked in vain for 20 s.
func (h *Host) dial(ctx context.Context, deadline time.Time) (net.Conn, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return dial(ctx, h.addr)
}

// Dial makes a connection to the replica at addr. An error is NotStarted's.
func Dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, notStartedError{fmt.Errorf("connect to replica %s: %w", addr, err)}
	}
	return conn, nil
}

func dial(ctx context.Context, addr string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:         dialTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return dialer.DialContext(ctx, "tcp", addr)
}
