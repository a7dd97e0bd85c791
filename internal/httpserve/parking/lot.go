package parking

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Lot is a listener to which connections come back.
type Lot struct {
	inner   net.Listener
	idle    time.Duration
	arrived chan arrival
	done    chan struct{}
	close   func() error
	poller  poller

	mu     sync.Mutex
	parked map[int32]*waiting // by descriptor
	closed bool
}

// arrival is what Accept returns.
type arrival struct {
	conn net.Conn
	err  error
}

// waiting is a connection that is parked.
type waiting struct {
	conn  net.Conn
	since time.Time
}

// New returns the lot of a listener, TLS included, whose parked connections are
// closed after idle. Close ends both.
func New(inner net.Listener, idle time.Duration) (*Lot, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &Lot{inner: inner, idle: idle, arrived: make(chan arrival, 128), done: make(chan struct{}), poller: p, parked: map[int32]*waiting{}}
	l.close = sync.OnceValue(l.end)
	go l.accept()
	go l.poller.run(l.leave)
	go l.sweep()
	return l, nil
}

// Accept returns the next connection: a new one, or a parked one that has
// something to read, or has ended.
func (l *Lot) Accept() (net.Conn, error) {
	select {
	case a := <-l.arrived:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Addr returns the listener's address.
func (l *Lot) Addr() net.Addr { return l.inner.Addr() }

// Close ends the listener and all connections that are parked.
func (l *Lot) Close() error { return l.close() }

// Parked returns how many connections are parked.
func (l *Lot) Parked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.parked)
}

func (l *Lot) accept() {
	for {
		conn, err := l.inner.Accept()
		if !l.hand(arrival{conn, err}) {
			return
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.makeRoom()
		}
		if err != nil { // the server waits after one that may pass, and so do we
			select {
			case <-l.done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

// hand gives the server a connection, and reports whether it may still want one.
func (l *Lot) hand(a arrival) bool {
	select {
	case l.arrived <- a:
		return true
	case <-l.done:
		if a.conn != nil {
			_ = a.conn.Close()
		}
		return false
	}
}

// leave hands over the connection of a descriptor on which something happened.
func (l *Lot) leave(fd int32) {
	l.mu.Lock()
	w := l.parked[fd]
	delete(l.parked, fd)
	l.mu.Unlock()
	if w == nil {
		return
	}
	l.poller.remove(fd)
	l.hand(arrival{conn: w.conn})
}

// sweep closes what has been quiet for too long.
func (l *Lot) sweep() {
	tick := time.NewTicker(max(l.idle/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-l.done:
			return
		case now := <-tick.C:
			l.drop(func(w *waiting) bool { return now.Sub(w.since) >= l.idle })
		}
	}
}

// makeRoom closes an eighth of the parked connections, those that have been quiet
// for longest, since no more files can be open: their callers connect again when
// they have something to say.
func (l *Lot) makeRoom() {
	l.mu.Lock()
	times := make([]time.Time, 0, len(l.parked))
	for _, w := range l.parked {
		times = append(times, w.since)
	}
	l.mu.Unlock()
	if len(times) == 0 {
		return
	}
	slices.SortFunc(times, time.Time.Compare)
	last := times[len(times)/8]
	l.drop(func(w *waiting) bool { return !w.since.After(last) })
}

// drop closes the parked connections that which chooses.
func (l *Lot) drop(which func(*waiting) bool) {
	var gone []net.Conn
	l.mu.Lock()
	for fd, w := range l.parked {
		if which(w) {
			delete(l.parked, fd)
			l.poller.remove(fd)
			gone = append(gone, w.conn)
		}
	}
	l.mu.Unlock()
	for _, conn := range gone { // TLS says goodbye, which may take a while
		_ = conn.Close()
	}
}

func (l *Lot) end() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	err := l.inner.Close()
	close(l.done)
	l.poller.close()
	l.drop(func(*waiting) bool { return true })
	for {
		select {
		case a := <-l.arrived: // nobody asks for these any more
			if a.conn != nil {
				_ = a.conn.Close()
			}
		default:
			return err
		}
	}
}

// park keeps conn until something happens on it, and reports whether it does.
func (l *Lot) park(conn net.Conn) bool {
	fd, ok := descriptor(conn)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.parked[fd] = &waiting{conn, time.Now()}
	if err := l.poller.add(fd); err != nil {
		delete(l.parked, fd)
		return false
	}
	return true
}

// descriptor returns the socket of a connection, below TLS too.
func descriptor(conn net.Conn) (fd int32, ok bool) {
	if t, secured := conn.(*tls.Conn); secured {
		conn = t.NetConn()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(f uintptr) { fd = int32(f) }) //nolint:gosec // a descriptor
	return fd, err == nil
}

type lotKey struct{}

// Context returns ctx for the requests of a server that accepts from the lot.
func (l *Lot) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, lotKey{}, l)
}

// Park sends what was answered so far, which must be the whole answer with its
// Content-Length, to a request whose body was read to its end, and parks the
// connection. One that cannot be parked stays with the server.
func Park(w http.ResponseWriter, r *http.Request) {
	l, ok := r.Context().Value(lotKey{}).(*Lot)
	if !ok || !supported || !r.ProtoAtLeast(1, 1) || r.ProtoMajor != 1 || r.Close || closes(w.Header()) || w.Header().Get("Content-Length") == "" {
		return
	}
	c := http.NewResponseController(w)
	if c.Flush() != nil {
		return
	}
	conn, buffered, err := c.Hijack()
	if err != nil {
		return
	}
	read := buffered.Reader
	if sent, _ := read.Peek(read.Buffered()); len(sent) > 0 {
		l.hand(arrival{conn: &pipelined{conn, bytes.Clone(sent)}})
	} else if !l.park(conn) {
		l.hand(arrival{conn: conn})
	}
}

func closes(h http.Header) bool { return strings.EqualFold(h.Get("Connection"), "close") }

// pipelined is a connection whose caller sent on before it had its answer.
type pipelined struct {
	net.Conn
	sent []byte
}

// Read reads what was sent already, then the connection.
func (c *pipelined) Read(p []byte) (int, error) {
	if len(c.sent) > 0 {
		n := copy(p, c.sent)
		c.sent = c.sent[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
