package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// front is the fast path: one epoll loop a core answers plain, small calls
// with no goroutine, no timer and hardly an allocation each. Whatever is not
// plain is handed, with the bytes that were read, to net/http, which then has
// that connection until it ends.
type front struct {
	e      *Engine
	loops  []*loop
	next   int
	table  []atomic.Pointer[channel] // by file descriptor
	gen    atomic.Int32
	slow   *handover
	closed atomic.Bool
}

// channel is a file descriptor that a loop listens to: of a caller, a replica
// or another engine. gen tells it from an earlier one of the same number.
type channel struct {
	fd     int
	gen    int32
	client *client
	up     *upstream
	wire   *wire
}

// maxFiles bounds the table; descriptors beyond it are net/http's.
const maxFiles = 1 << 20

// newFront starts the loops; nil when this listener or system has no fast path.
func newFront(e *Engine, calls net.Listener) (*front, error) {
	if _, ok := calls.(*net.TCPListener); !ok || e.opts.NoFastPath {
		return nil, nil
	}
	var limit unix.Rlimit
	files := uint64(1 << 16)
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		files = limit.Max
	}
	f := &front{e: e, table: make([]atomic.Pointer[channel], min(files, maxFiles)), slow: newHandover(calls.Addr())}
	for range cmp.Or(e.opts.Loops, runtime.GOMAXPROCS(0)) {
		l, err := newLoop(f)
		if err != nil {
			f.close()
			return nil, err
		}
		f.loops = append(f.loops, l)
	}
	if err := f.listen(calls); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// listen makes the first loop accept what comes to the listener, through a
// descriptor of its own: Go's does not wait for us.
func (f *front) listen(calls net.Listener) error {
	raw, err := calls.(*net.TCPListener).SyscallConn()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", calls.Addr(), err)
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(err, dupErr); err != nil {
		return fmt.Errorf("listen on %s: %w", calls.Addr(), err)
	}
	l := f.loops[0]
	l.post(func() {
		l.listener = fd
		l.hear()
	})
	return nil
}

// adopt gives a caller's connection to the next loop.
func (f *front) adopt(fd int) {
	tune(fd)
	f.next = (f.next + 1) % len(f.loops)
	l := f.loops[f.next]
	cl := &client{l: l}
	cl.src = channel{fd: fd, client: cl}
	if fd >= len(f.table) {
		f.handOver(fd, nil)
		return
	}
	l.post(func() { l.add(cl) })
}

// tune sets what Go sets on its own connections.
func tune(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

// handOver gives a connection to net/http, with what was read of it.
func (f *front) handOver(fd int, data []byte) {
	conn, err := netConn(fd)
	if err != nil {
		f.e.log.Warn("a connection was dropped", "error", err)
		return
	}
	f.slow.give(&readConn{Conn: conn, data: append([]byte(nil), data...)})
}

// netConn makes a net.Conn of a descriptor, which it takes over.
func netConn(fd int) (net.Conn, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	defer func() { _ = file.Close() }()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("take over a connection: %w", err)
	}
	return conn, nil
}

// register makes l listen to s.
func (f *front) register(l *loop, s *channel) error {
	s.gen = f.gen.Add(1)
	f.table[s.fd].Store(s)
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(s.fd), Pad: s.gen,
	})
}

// drop closes s, and with that ends listening to it.
func (f *front) drop(s *channel) {
	if s.fd >= 0 {
		f.table[s.fd].CompareAndSwap(s, nil)
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// drain waits until every connection has ended; idle ones are closed. When
// ctx ends first, all are.
func (f *front) drain(ctx context.Context) error {
	if f == nil {
		return nil
	}
	f.closed.Store(true)
	var wg sync.WaitGroup
	for _, l := range f.loops {
		wg.Add(1)
		l.post(func() { l.drained = wg.Done; l.refuse(); l.closeIdleClients() })
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the loops and with them every connection they have.
func (f *front) close() {
	if f == nil {
		return
	}
	f.closed.Store(true)
	for _, l := range f.loops {
		l.post(l.stop)
		<-l.ended
	}
}
