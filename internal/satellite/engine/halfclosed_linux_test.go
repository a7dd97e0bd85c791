package engine

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// heldUp is an engine with an algorithm foo/bar whose calls are held up.
type heldUp struct {
	*testEngine
	enter chan bool // one for each call that reaches the replica
	leave chan bool // closed when they may go on
}

// holdUp starts an engine with a langserver that answers text.
func holdUp(t *testing.T, opts Options, text string) *heldUp {
	t.Helper()
	h := &heldUp{enter: make(chan bool, 10), leave: make(chan bool)}
	s := newStrict(t, func(lsCall) (int, string) {
		h.enter <- true
		waittest.Hold(t, h.leave)
		return 200, `{"result":"` + text + `"}`
	})
	h.testEngine = startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", s.addr)}})
	return h
}

// send sends a call.
func (h *heldUp) send(t *testing.T) *net.TCPConn {
	t.Helper()
	conn := h.dial(t)
	if _, err := io.WriteString(conn, plainCall); err != nil {
		t.Fatal(err)
	}
	return conn
}

// sendAndClose sends a call and closes the caller's half, as `nc -N` does.
func (h *heldUp) sendAndClose(t *testing.T) *net.TCPConn {
	t.Helper()
	conn := h.send(t)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestHalfClosed: a caller who closes their half after the call has the answer
// and then the end.
func TestHalfClosed(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		h := holdUp(t, opts, strings.Repeat("x", 4<<20))
		conn := h.sendAndClose(t)
		waittest.Receive(t, "the half-closed call reaches its replica", h.enter)
		close(h.leave)
		got, err := io.ReadAll(conn) // to the end: the connection is closed, not forgotten
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200 OK\r\n") || len(got) < 4<<20 {
			t.Errorf("a half-closed call = %d bytes, %v, %.100q; want its answer and the end", len(got), err, got)
		}
	})
}

// TestHalfClosedLater: the half that closes while the call runs changes nothing.
func TestHalfClosedLater(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		h := holdUp(t, opts, "done")
		conn := h.send(t)
		waittest.Receive(t, "the call reaches its replica", h.enter)
		_ = conn.CloseWrite()
		eventually(t, "the engine's kernel has the end", func() bool { return unsent(conn) == 0 })
		close(h.leave)
		if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), "done") {
			t.Errorf("call = %.200q, %v; want its answer and the end", got, err)
		}
	})
}

// TestHalfClosedInTheQueue: a caller whose call queues is taken for one who
// left, and hears nothing rather than something wrong.
func TestHalfClosedInTheQueue(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		h := holdUp(t, opts, "done")
		first := h.sendAndClose(t)
		waittest.Receive(t, "the first call reaches its replica", h.enter)
		hearsNothing := func(conn *net.TCPConn) {
			t.Helper()
			if got, _ := io.ReadAll(conn); len(got) != 0 {
				t.Errorf("a caller who left the queue got %q, want nothing", got)
			}
			eventually(t, "the queue is empty", func() bool { return h.Snapshot().Algorithms[0].Queued == 0 })
		}
		hearsNothing(h.sendAndClose(t))
		later := h.send(t)
		eventually(t, "the call queues", func() bool { return h.Snapshot().Algorithms[0].Queued == 1 })
		_ = later.CloseWrite()
		hearsNothing(later)
		close(h.leave)
		if got, err := io.ReadAll(first); err != nil || !strings.Contains(string(got), "done") {
			t.Errorf("the first call = %.200q, %v; want its answer and the end", got, err)
		}
		if n := len(h.enter); n != 0 {
			t.Errorf("%d calls ran whose callers had left the queue", n)
		}
	})
}

// TestHalfClosedHTTP: an http algorithm's call can be cancelled, and is whenever
// its caller sends no more.
func TestHalfClosedHTTP(t *testing.T) {
	both(t, func(t *testing.T, opts Options) {
		addr := httpReplica(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			waittest.Hold(t, r.Context().Done())
		})
		h := &heldUp{testEngine: startEngineWith(t, opts, config.Routes{Algorithms: []config.Route{httpRoute("foo/bar", addr)}})}
		if got, _ := io.ReadAll(h.sendAndClose(t)); len(got) != 0 {
			t.Errorf("a caller who left got %q, want nothing", got)
		}
		eventually(t, "the call is cancelled", func() bool {
			return strings.Contains(h.access.String(), `"outcome":"canceled"`) && h.Snapshot().Algorithms[0].InFlight == 0
		})
	})
}
