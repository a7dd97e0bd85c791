package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Loop is an event loop with the memory that its connections to replicas share.
type Loop struct {
	*eventloop.Loop
	out    []byte // what is written
	in     []byte // what is read
	answer memory.Buffer
}

// NewLoop returns an event loop for connections to replicas.
func NewLoop(l *eventloop.Loop) *Loop {
	return &Loop{Loop: l, in: make([]byte, 64<<10), out: make([]byte, 0, http1.MaxHead+http1.MaxBody)}
}

// Exchange is a call as its connection sees it. All its methods are called on
// the connection's loop; after the last three the connection is not the call's
// any more.
type Exchange interface {
	// Recover calls f, and keeps a panic in it from being other calls' too.
	Recover(f func())
	// OnAnswer is called with the answer, whose body is valid until it returns.
	OnAnswer(a protocol.Answer)
	// OnRest is called with an answer that is not for an event loop to read.
	OnRest(r *Rest)
	// OnBroken is called when the connection ended before the answer did.
	OnBroken(err error)
}

// Stream is an event loop's connection to a replica. It belongs to the loop
// whose call uses it, or, when idle, to whoever takes it out of the host's list.
type Stream struct {
	conn     eventloop.Conn
	loop     *Loop
	host     *Host
	exchange Exchange       // nil when idle
	in       *memory.Buffer // an answer that is not complete yet
	rest     *memory.Buffer // of a request that is being sent
	sent     int
	ended    bool // the replica sends no more
	used     time.Time
}

// trustFor is how long a connection is used again without looking whether the
// replica closed it: when it does, the loop has an event of it by then.
const trustFor = 2 * time.Millisecond

// Reuse returns an idle connection that can be used, now the loop's, or nil.
func (l *Loop) Reuse(h *Host) *Stream {
	for s := h.takeStream(l.Loop); s != nil; s = h.takeStream(l.Loop) {
		s = l.own(s)
		if s.conn.IsOpen() && (l.Now().Sub(s.used) < trustFor || s.conn.IsQuiet()) {
			return s
		}
		s.Close()
	}
	return nil
}

// own makes an idle connection this loop's. What another loop has of it is left
// as it was: that loop may be looking at it in this moment.
func (l *Loop) own(idle *Stream) *Stream {
	if idle.loop == l {
		return idle
	}
	s := &Stream{loop: l, host: idle.host, used: idle.used}
	if l.Take(&s.conn, &idle.conn, s) != nil {
		s.conn.Close()
	}
	return s
}

// Dial connects to the replica. It blocks, and is not for the loop's goroutine.
func (h *Host) Dial(ctx context.Context, deadline time.Time) (eventloop.Socket, error) {
	h.closeOneIdle()
	conn, err := h.dial(ctx, deadline)
	if err != nil {
		return 0, err
	}
	return eventloop.SocketOf(conn)
}

// NewStream returns the loop's connection of a socket that was dialed, which it
// closes when that fails.
func (l *Loop) NewStream(h *Host, socket eventloop.Socket) (*Stream, error) {
	s := &Stream{loop: l, host: h}
	err := l.Watch(&s.conn, socket, s)
	if eventloop.IsTableFull(err) {
		socket.Close()
	} else if err != nil {
		s.conn.Close()
	}
	return s, err
}

// Close closes the connection.
func (s *Stream) Close() { s.conn.Close() }

// Send writes a call's request, and makes the connection the exchange's. It
// reports false when not one byte went out.
func (s *Stream) Send(x Exchange, c *protocol.Call, body []byte) bool {
	l := s.loop
	l.out = c.AppendHead(l.out[:0], s.host.addr, len(body))
	l.out = append(l.out, body...)
	n, err := s.conn.Write(l.out)
	if n == 0 && err != nil && !eventloop.IsAgain(err) {
		return false
	}
	s.exchange = x
	if n < len(l.out) {
		s.rest = memory.NewBuffer(len(l.out) - n)
		s.rest.B = append(s.rest.B, l.out[n:]...)
		s.sent = 0
	}
	return true
}

// Ready is called when the connection can be read or written.
func (s *Stream) Ready(ev eventloop.Events) {
	if s.exchange != nil {
		s.exchange.Recover(func() { s.proceed(ev) })
	} else if (ev.Readable() || ev.Ended()) && s.host.removeStream(s) {
		s.conn.Close() // the replica ended an idle connection
	}
}

func (s *Stream) proceed(ev eventloop.Events) {
	if ev.Writable() && s.rest != nil {
		n, err := s.conn.Write(s.rest.B[s.sent:])
		if err == nil {
			s.sent += n
		}
		if s.sent == len(s.rest.B) {
			s.rest.Release()
			s.rest = nil
		}
	}
	// Who ends the connection together with the answer, without a word of it,
	// is not told of again.
	s.ended = s.ended || ev.Ended()
	if ev.Readable() || ev.Ended() {
		s.read()
	}
}

// read reads what there is of the replica's answer.
func (s *Stream) read() {
	for x := s.exchange; s.exchange == x; {
		into := s.loop.in
		if s.in != nil {
			s.in.Grow(len(s.in.B) + 8<<10)
			into = s.in.B[len(s.in.B):cap(s.in.B)]
		}
		n, err := s.conn.Read(into)
		switch {
		case eventloop.IsAgain(err):
			return
		case err != nil:
			if err == io.EOF { //nolint:errorlint // never wrapped
				err = io.ErrUnexpectedEOF
			}
			s.End(false)
			x.OnBroken(fmt.Errorf("read the replica's answer: %w", err))
			return
		}
		data := into[:n]
		if s.in != nil {
			s.in.B = s.in.B[:len(s.in.B)+n]
			data = s.in.B
		}
		s.consume(x, data)
	}
}

func (s *Stream) consume(x Exchange, data []byte) {
	var h http1.Answer
	state := http1.ReadAnswer(data, &h)
	switch whole := h.End + h.Length; {
	case state == http1.Other, state == http1.Plain && h.Length > 4*http1.MaxBody:
		r := &Rest{Large: state == http1.Plain, data: append([]byte(nil), data...)}
		r.conn, r.err = s.conn.Detach()
		s.End(false)
		x.OnRest(r)
		return
	case state == http1.Plain && len(data) >= whole:
		s.loop.answer = memory.Borrow(data[h.End:whole])
		// The answer's bytes are the loop's or s.in's: they are used up before
		// the next call may overwrite them.
		in := s.in
		s.in = nil
		s.End(!h.Close && !s.ended && s.rest == nil && len(data) == whole)
		x.OnAnswer(protocol.Answer{Status: h.Status, ContentType: protocol.MediaType(h.ContentType), Body: &s.loop.answer})
		in.Release()
		return
	}
	if s.in == nil {
		want := len(data) + 8<<10
		if state == http1.Plain {
			want = max(want, h.End+h.Length)
		}
		s.in = memory.NewBuffer(want)
		s.in.B = append(s.in.B, data...)
	}
}

// End parts the connection from its exchange, and keeps it or closes it.
func (s *Stream) End(keep bool) {
	s.exchange = nil
	s.in.Release()
	s.rest.Release()
	s.in, s.rest = nil, nil
	if keep && s.host.keepStream(s) {
		return
	}
	s.conn.Close()
}

// Rest is an answer of which an event loop read the beginning.
type Rest struct {
	Large bool // that is all that is wrong with it
	conn  net.Conn
	err   error
	data  []byte
}

// Read reads the answer to its end, on a goroutine of its own, up to limit bytes
// of it. Its errors are those of Host.Exchange.
func (r *Rest) Read(ctx context.Context, deadline time.Time, limit int, share *memory.Share) (protocol.Answer, error) {
	if r.err != nil {
		return protocol.Answer{}, r.err
	}
	defer func() { _ = r.conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = r.conn.SetDeadline(time.Unix(1, 0)) })()
	a, _, err := readAnswer(bufio.NewReader(eventloop.NewPrefixConn(r.conn, r.data)), limit, share)
	if err != nil && !time.Now().Before(deadline) {
		err = ErrTimedOut
	}
	return a, err
}

// ErrEndedAtOnce is the error of a connection that ended before the request was
// sent.
var ErrEndedAtOnce = errors.New("the connection ended at once")
