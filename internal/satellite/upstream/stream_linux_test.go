package upstream

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// nobody owns a loop that accepts nothing.
type nobody struct{}

func (nobody) Accept(s eventloop.Socket) { s.Close() }
func (nobody) Sweep(time.Time)           {}
func (nobody) MakeRoom()                 {}
func (nobody) Close()                    {}

// startLoop runs an event loop until the test ends. on runs f on it.
func startLoop(t *testing.T) (l *Loop, on func(f func())) {
	t.Helper()
	if !eventloop.Supported {
		t.Skip("there is no event loop on this system")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	group, err := eventloop.New(eventloop.Options{
		Loops: 1, Listener: ln.(*net.TCPListener), Log: slog.New(slog.DiscardHandler),
		Attach: func(*eventloop.Loop) eventloop.Owner { return nobody{} }, OnOff: func() {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(group.Close)
	l = NewLoop(group.Loops()[0])
	return l, func(f func()) {
		t.Helper()
		done := make(chan bool)
		l.PostFunc(func() { defer close(done); f() })
		waittest.Receive(t, "the loop", done)
	}
}

// outcome is how an exchange ended, with a copy of its answer.
type outcome struct {
	status int
	typ    string
	body   string
	rest   *Rest
	err    error
}

type exchange chan outcome

func (x exchange) Recover(f func()) { f() }
func (x exchange) OnAnswer(a protocol.Answer) {
	x <- outcome{status: a.Status, typ: a.ContentType, body: string(a.Body.B)}
}
func (x exchange) OnRest(r *Rest)     { x <- outcome{rest: r} }
func (x exchange) OnBroken(err error) { x <- outcome{err: err} }

// exchangeOnLoop sends one call to h on the loop, over an idle connection when there
// is one.
func exchangeOnLoop(t *testing.T, l *Loop, on func(func()), h *Host, body string) outcome {
	t.Helper()
	c := &protocol.Call{Langserver: true, ID: "req-1", Head: []byte("POST / HTTP/1.1\r\nHost: ")}
	if f := c.ReadType(protocol.MediaJSON, ""); f != nil {
		t.Fatal(f)
	}
	x := make(exchange, 1)
	var s *Stream
	on(func() { s = l.Reuse(h) })
	if s == nil {
		socket, err := h.Dial(t.Context(), time.Now().Add(waittest.Timeout))
		if err != nil {
			t.Fatal(err)
		}
		on(func() { s, err = l.NewStream(h, socket) })
		if err != nil {
			t.Fatal(err)
		}
	}
	sent := false
	on(func() { sent = s.Send(x, c, []byte(body)) })
	if !sent {
		t.Fatal("not one byte went out")
	}
	return waittest.Receive(t, "the end of the exchange", x)
}

func TestStreams(t *testing.T) {
	l, on := startLoop(t)
	large := strings.Repeat("x", 2*http1.MaxBody)
	for _, test := range []struct {
		name, answer string
		want         outcome
		conns        int32 // of two exchanges
	}{
		{"plain", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", outcome{status: 200, typ: "application/json", body: "{}"}, 1},
		{"in pieces", "HTTP/1.1 200 OK\r\nContent-Length: 131072\r\n\r\n" + strings.Repeat("y", 131072), outcome{status: 200, body: strings.Repeat("y", 131072)}, 1},
		{"closing", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", outcome{status: 400, body: "x"}, 2},
		{"followed by more", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP", outcome{status: 200, body: "x"}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			replica := startReplica(t, func(*http.Request, []byte) []byte { return []byte(test.answer) })
			h := NewHost(replica.addr)
			defer h.Close()
			for range 2 {
				got := exchangeOnLoop(t, l, on, h, `1`)
				if got.err != nil || got.status != test.want.status || got.typ != test.want.typ || got.body != test.want.body {
					t.Errorf("got %d %q, %d bytes, %v; want %d %q, %d bytes", got.status, got.typ, len(got.body), got.err, test.want.status, test.want.typ, len(test.want.body))
				}
				on(func() {}) // the connection is kept by now
			}
			if n := replica.accepted.Load(); n != test.conns {
				t.Errorf("two exchanges took %d connections, want %d", n, test.conns)
			}
		})
	}
	t.Run("a large request", func(t *testing.T) {
		replica := startReplica(t, ok)
		h := NewHost(replica.addr)
		defer h.Close()
		if got := exchangeOnLoop(t, l, on, h, large); got.err != nil || got.rest == nil && got.body != large {
			t.Errorf("got %d bytes, %v; want %d", len(got.body), got.err, len(large))
		}
	})
}

// TestAnswersThatAreNotForALoop: the connection goes to a goroutine, with what was
// read of the answer.
func TestAnswersThatAreNotForALoop(t *testing.T) {
	l, on := startLoop(t)
	huge := strings.Repeat("z", 4*http1.MaxBody+1)
	for _, test := range []struct {
		name, answer, body string
		large              bool
	}{
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", false},
		{"large", string(ok(nil, []byte(huge))), huge, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			replica := startReplica(t, func(*http.Request, []byte) []byte { return []byte(test.answer) })
			h := NewHost(replica.addr)
			defer h.Close()
			got := exchangeOnLoop(t, l, on, h, `1`)
			if got.rest == nil || got.rest.Large != test.large {
				t.Fatalf("got %d, %v, rest %v; want a rest, large %t", got.status, got.err, got.rest, test.large)
			}
			a, err := got.rest.Read(t.Context(), time.Now().Add(waittest.Timeout), len(test.body), nil)
			if err != nil || a.Status != 200 || string(a.Body.B) != test.body {
				t.Errorf("Read() = %d, %v", a.Status, err)
			}
		})
	}
}

// TestBrokenStreams: a connection that ends before the answer does breaks the
// exchange, and is not kept.
func TestBrokenStreams(t *testing.T) {
	l, on := startLoop(t)
	var requests atomic.Int32
	replica := startReplica(t, func(*http.Request, []byte) []byte {
		if requests.Add(1) > 1 {
			return nil
		}
		return []byte("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
	})
	h := NewHost(replica.addr)
	defer h.Close()
	if got := exchangeOnLoop(t, l, on, h, `1`); got.body != "x" {
		t.Fatalf("got %q, %v", got.body, got.err)
	}
	got := exchangeOnLoop(t, l, on, h, `1`)
	if !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("a connection that ended without an answer: %v, want %v", got.err, io.ErrUnexpectedEOF)
	}
	if n := len(h.streams); n != 0 {
		t.Errorf("%d connections are kept that broke", n)
	}
}
