package passthrough

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// IsUpgrade returns the protocol that a request asks to go on with, in lower
// case; "" when it asks for none. One that offers HTTP/2, as some clients do with
// every request, is answered over HTTP/1.1.
func IsUpgrade(r *http.Request) string {
	if r.ProtoMajor != 1 || !hasToken(r.Header, "Connection", "upgrade") {
		return ""
	}
	protocol := strings.ToLower(r.Header.Get("Upgrade"))
	if protocol == "h2c" {
		return ""
	}
	return protocol
}

// WebSocket is the protocol that a request may ask to go on with.
const WebSocket = "websocket"

// upgradeHeader lets a request ask a replica for what its caller asks for.
func (x *Exchange) upgradeHeader(out *http.Request) {
	if IsUpgrade(x.in) == WebSocket && x.in.Method == http.MethodGet {
		out.Header["Connection"], out.Header["Upgrade"] = []string{"Upgrade"}, []string{WebSocket}
	}
}

// errNoUpgrade is a 101 that is not what was asked for.
var errNoUpgrade = errors.New("the replica goes on with another protocol than it was asked to")

// Sockets are the WebSockets that pass through. The zero value has none.
type Sockets struct {
	mu      sync.Mutex
	open    map[*socket]struct{}
	drained chan struct{} // closed when none is left; nil before GoAway
}

// GoAway tells both ends of every WebSocket, and of each that is still opened, to
// go away (close code 1001, RFC 6455, 7.4.1).
func (s *Sockets) GoAway() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drained = make(chan struct{})
	for each := range s.open {
		each.goAway()
	}
	s.checkDrained()
}

// Wait waits until all that were told to go away have, or ctx ends, which closes
// them.
func (s *Sockets) Wait(ctx context.Context) error {
	select {
	case <-s.drained:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		for each := range s.open {
			each.close()
		}
		return ctx.Err()
	}
}

func (s *Sockets) checkDrained() {
	if s.drained != nil && len(s.open) == 0 {
		select {
		case <-s.drained:
		default:
			close(s.drained)
		}
	}
}

func (s *Sockets) add(one *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*socket]struct{}{}
	}
	s.open[one] = struct{}{}
	if s.drained != nil {
		one.goAway()
	}
}

func (s *Sockets) remove(one *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, one)
	s.checkDrained()
}

// asked reports whether a replica's 101 is what the request asked for.
func (x *Exchange) asked(res *http.Response) bool {
	return IsUpgrade(x.in) == WebSocket && strings.EqualFold(res.Header.Get("Upgrade"), WebSocket)
}

// Upgrade gives the caller a replica's 101, and passes on what both send until
// one has closed.
func (x *Exchange) Upgrade(res *http.Response, sockets *Sockets) error {
	defer func() { _ = res.Body.Close() }()
	replica, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return errNoUpgrade
	}
	conn, buffered, err := x.rc.Hijack()
	if err != nil {
		return fmt.Errorf("take the caller's connection over: %w", err)
	}
	defer func() { _ = conn.Close() }()
	header := x.w.Header()
	x.answerHeader(header, res)
	header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{WebSocket}
	head := &http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: header}
	_ = conn.SetWriteDeadline(time.Now().Add(x.opts.Idle))
	if err := head.Write(conn); err != nil {
		return fmt.Errorf("%w: %w", ErrCallerStalled, err)
	}
	s := newSocket(x, conn, replica)
	sockets.add(s)
	defer sockets.remove(s)
	return s.run(buffered.Reader)
}

// socket is one WebSocket.
type socket struct {
	x       *Exchange
	caller  net.Conn
	replica io.ReadWriteCloser
	down    frames // to the caller
	up      frames // to the replica
}

// newSocket returns one that may be told to go away before it runs.
func newSocket(x *Exchange, caller net.Conn, replica io.ReadWriteCloser) *socket {
	s := &socket{x: x, caller: caller, replica: replica}
	s.down = frames{to: caller, before: func() { _ = caller.SetWriteDeadline(time.Now().Add(x.opts.Idle)) }}
	s.up = frames{to: replica, masked: true, before: func() {}}
	return s
}

// run passes on both ways, and returns nil when the WebSocket was closed by either
// end.
func (s *socket) run(fromCaller *bufio.Reader) error {
	stop := context.AfterFunc(s.x.ctx, s.close)
	defer stop()
	ends := make(chan error, 2)
	go func() { ends <- s.pass(&s.up, fromCaller, ErrCallerStalled, errReplicaClosed) }()
	go func() { ends <- s.pass(&s.down, s.replica, errReplicaClosed, ErrCallerStalled) }()
	first := <-ends
	if errors.Is(first, errGoneAway) {
		first = nil
		stop := time.AfterFunc(goodbyeFor, s.close) // the other end may say goodbye too
		defer stop.Stop()
	} else {
		s.close()
	}
	<-ends //nolint:errcheck // the first one says why
	if s.x.ctx.Err() != nil {
		return context.Cause(s.x.ctx)
	}
	return first
}

// goodbyeFor is how long a WebSocket's ends have to answer a close frame.
const goodbyeFor = time.Second

// errReplicaClosed is why a WebSocket ended whose replica left in the middle.
var errReplicaClosed = errors.New("the replica closed the WebSocket in the middle of a frame")

// pass copies one way. The end of either connection is the end of both; reads and
// writes say whose fault it is that one cannot be done.
func (s *socket) pass(to *frames, from io.Reader, reads, writes error) error {
	buffer, _ := buffers.Get().(*[copyStep]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			s.x.watch.move()
			if _, err := to.Write(buffer[:n]); errors.Is(err, errGoneAway) {
				return err
			} else if err != nil {
				return fmt.Errorf("%w: %w", writes, err)
			}
			s.x.watch.move()
		}
		if err != nil && to.whole(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("%w: %w", reads, err)
		}
	}
}

// goAway has a close frame sent both ways, each between two frames.
func (s *socket) goAway() {
	go func() {
		s.down.goAway()
		s.up.goAway()
	}()
}

func (s *socket) close() {
	_ = s.caller.Close()
	_ = s.replica.Close()
}
