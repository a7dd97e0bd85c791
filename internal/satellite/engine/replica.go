package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// How an exchange with a replica can fail.
var (
	errTimedOut = errors.New("the call timed out")
	errTooLarge = errors.New("the body is too large")
)

// notStartedError is a failure before the replica got one byte of the call:
// another replica may be asked.
type notStartedError struct{ err error }

func (e notStartedError) Error() string { return e.err.Error() }
func (e notStartedError) Unwrap() error { return e.err }

const (
	dialTimeout = 3 * time.Second
	// idleFor is how long a connection is kept for the next call. A langserver
	// has a thread for each connection (reference section 2), and common
	// servers close idle ones after 2 s: we must be first.
	idleFor = time.Second
	// smallBody is sent in one write with the head; larger ones by writev.
	smallBody = 32 << 10
)

// replica is one running instance of an algorithm. The pool's lock guards the
// first group of fields, mu the second.
type replica struct {
	addr     string
	inFlight int           // calls of all engines, as far as we know
	mine     int           // calls of this engine
	theirs   map[*link]int // calls of engines that we grant slots to
	gone     bool          // not in the endpoints
	aside    bool          // refused a connection a moment ago
	withheld bool          // was ended after a time-out and has not come back yet
	since    time.Time     // it joined others, and starts slowly; else zero

	mu      sync.Mutex
	idle    []*conn
	swift   []*upstream // idle connections of the fast path
	closing bool
	current atomic.Pointer[running] // the call that started last
}

// conn is a connection to a replica; one call uses it at a time, with no
// goroutine of its own.
type conn struct {
	net.Conn
	br   *bufio.Reader
	used time.Time
}

func newReplica(addr string) *replica { return &replica{addr: addr} }

// take makes a slot the calling engine's; nil is this one.
func (r *replica) take(by *link) {
	r.inFlight++
	if by == nil {
		r.mine++
		return
	}
	if r.theirs == nil {
		r.theirs = map[*link]int{}
	}
	r.theirs[by]++
}

// runs notes the call that starts, for its insights; with several at once
// nobody can tell them apart.
func (r *replica) runs(c *call) {
	if c.route.Concurrency == 1 {
		r.current.Store(&running{id: c.id, start: c.start})
	}
}

// leave marks a replica that is no longer in the endpoints.
func (r *replica) leave() {
	r.gone = true
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.closeIdle(time.Time{})
}

// back marks a replica that left and came again while calls were in flight.
func (r *replica) back() {
	r.gone, r.withheld, r.aside = false, false, false
	r.mu.Lock()
	r.closing = false
	r.mu.Unlock()
}

// closeOneIdle closes an idle connection of net/http's side, if there is one.
func (r *replica) closeOneIdle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.idle); n > 0 {
		_ = r.idle[n-1].Close()
		r.idle[n-1] = nil
		r.idle = r.idle[:n-1]
	}
}

// closeIdle closes connections unused since before; the zero time is all.
func (r *replica) closeIdle(before time.Time) {
	r.closeSwift(before)
	r.mu.Lock()
	defer r.mu.Unlock()
	keep := r.idle[:0]
	for _, c := range r.idle {
		if before.IsZero() || c.used.Before(before) {
			_ = c.Close()
			continue
		}
		keep = append(keep, c)
	}
	clear(r.idle[len(keep):])
	r.idle = keep
}

// connect gives a live idle connection, or a new one.
func (r *replica) connect(ctx context.Context, deadline time.Time) (c *conn, reused bool, err error) {
	for {
		r.mu.Lock()
		n := len(r.idle)
		if n == 0 {
			r.mu.Unlock()
			break
		}
		c := r.idle[n-1]
		r.idle[n-1] = nil
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		if alive(c.Conn) {
			return c, true, nil
		}
		_ = c.Close()
	}
	// One that the fast path left idle is closed first: a langserver may have
	// no more threads than it has slots.
	r.closeOneSwift()
	nc, err := r.dial(ctx, deadline)
	if err != nil {
		return nil, false, notStartedError{fmt.Errorf("connect to replica %s: %w", r.addr, err)}
	}
	return &conn{Conn: nc, br: bufio.NewReader(nc)}, false, nil
}

// dial makes a connection. A replica whose machine is gone says nothing any
// more: its calls end when the kernel has asked in vain for 20 s.
func (r *replica) dial(ctx context.Context, deadline time.Time) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout: dialTimeout, Deadline: deadline,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
	}
	return dialer.DialContext(ctx, "tcp", r.addr)
}

// keep stores a connection for the next call. There are never more than the
// replica has slots, since each came from a call that held one.
func (r *replica) keep(c *conn, now time.Time) {
	c.used = now
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		_ = c.Close()
		return
	}
	r.idle = append(r.idle, c)
	r.mu.Unlock()
}

// answer is a replica's HTTP response, read to its end. The caller frees body.
type answer struct {
	status      int
	contentType string
	body        *buffer
}

// postRequest tells http.ReadResponse how to find the end of an answer.
var postRequest = &http.Request{Method: http.MethodPost}

// exchange sends head and body and reads the answer, up to limit bytes of it.
// When ctx ends, the exchange is cut. Errors: notStartedError, errTimedOut,
// errTooLarge, ctx's, or what the connection died of.
func (r *replica) exchange(ctx context.Context, deadline time.Time, head *buffer, body []byte, limit int) (answer, error) {
	for {
		c, reused, err := r.connect(ctx, deadline)
		if err != nil {
			return answer{}, err
		}
		a, err := r.exchangeOn(ctx, c, deadline, head, body, limit)
		if _, ok := errors.AsType[notStartedError](err); ok && reused {
			continue // the connection had died; a new one tells
		}
		return a, err
	}
}

func (r *replica) exchangeOn(ctx context.Context, c *conn, deadline time.Time, head *buffer, body []byte, limit int) (answer, error) {
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return answer{}, notStartedError{err}
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	}
	a, keep, err := c.roundTrip(head, body, limit)
	uncut := stop()
	if err == nil && keep && uncut {
		r.keep(c, time.Now())
		return a, nil
	}
	_ = c.Close()
	switch {
	case err == nil:
		return a, nil
	case !uncut && ctx.Err() != nil:
		return answer{}, ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return answer{}, errTimedOut
	}
	return answer{}, err
}

// roundTrip does one exchange; keep says whether the connection is clean.
func (c *conn) roundTrip(head *buffer, body []byte, limit int) (a answer, keep bool, err error) {
	var (
		sent     int64
		writeErr error
	)
	if len(body) <= smallBody {
		n := len(head.b)
		head.b = append(head.b, body...)
		var wrote int
		wrote, writeErr = c.Write(head.b)
		sent, head.b = int64(wrote), head.b[:n]
	} else {
		buffers := net.Buffers{head.b, body}
		sent, writeErr = buffers.WriteTo(c.Conn)
	}
	if writeErr != nil && sent == 0 && !errors.Is(writeErr, os.ErrDeadlineExceeded) {
		return answer{}, false, notStartedError{writeErr}
	}
	// After a failed write there may still be an answer, such as "too large".
	a, closes, err := readAnswer(c.br, limit)
	if err != nil {
		if writeErr != nil && !errors.Is(err, errTooLarge) {
			err = writeErr
		}
		return answer{}, false, fmt.Errorf("read the replica's answer: %w", err)
	}
	return a, writeErr == nil && !closes && c.br.Buffered() == 0, nil
}

// readAnswer reads one final answer; closes says that the connection ends
// after it.
func readAnswer(br *bufio.Reader, limit int) (a answer, closes bool, err error) {
	response, err := readResponse(br) //nolint:bodyclose // the connection is ours: it is kept or closed whole
	if err != nil {
		return answer{}, false, err
	}
	content, err := readAll(response.Body, response.ContentLength, limit, nil)
	if err != nil {
		return answer{}, false, err
	}
	return answer{status: response.StatusCode, contentType: response.Header.Get("Content-Type"), body: content}, response.Close, nil
}

// readResponse reads a final response's head.
func readResponse(br *bufio.Reader) (*http.Response, error) {
	for range 5 {
		response, err := http.ReadResponse(br, postRequest)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if response.StatusCode >= 200 {
			return response, nil
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	return nil, errors.New("no final answer, only interim ones")
}
