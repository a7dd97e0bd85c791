package engine

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestSmallRepliesThatNobodyReads: what an event loop keeps of replies that do
// not go out is of the same budget. A caller who does not read while there is
// none is cut.
func TestSmallRepliesThatNobodyReads(t *testing.T) {
	const callers, size = 40, 240 << 10
	reply := `"` + strings.Repeat("x", size-2) + `"`
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.WriteString(w, reply)
	}))
	little := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10) })
		return err
	}}
	ln, err := little.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := startEngineOn(t, ln, Options{Loops: 2, replies: memory.NewBudget(2<<20, replyMaxWait)}, config.Routes{Algorithms: []config.Route{r}})
	for range callers {
		_, _ = io.WriteString(e.dial(t), plainCall)
	}
	eventually(t, "every call has run", func() bool {
		a := e.Snapshot().Algorithms[0]
		used, refused := e.replies.State()
		return a.Calls+uint64(used)/(512<<10) == callers && a.InFlight == 0 && refused > 0
	})
	if used, _ := e.replies.State(); used == 0 || used > e.replies.Size()/2 {
		t.Errorf("the loops hold %d bytes of replies, want some and at most %d", used, e.replies.Size()/2)
	}
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)}, config.Key{ID: "k2", Name: "other", SHA256: config.HashKey("cst_other")})
	eventually(t, "the second key is known", func() bool {
		return e.do(request{auth: "cst_other", path: "/v1/algo/foo/none"}).status == http.StatusNotFound
	})
	if got := e.do(request{auth: "cst_other"}); got.status != http.StatusOK || len(got.body) < size {
		t.Errorf("another key's call = %d, %d bytes; want its answer", got.status, len(got.body))
	}
}

// TestManyUnfinishedCalls: when calls that are not complete have much of the
// loops' memory, the next ones are net/http's, which knows the caller before
// it reads a body; all are served.
func TestManyUnfinishedCalls(t *testing.T) {
	const callers, size = 60, 60 << 10
	r := lsRoute("foo/bar", newStrict(t, nil).addr)
	r.Queue.Limit = 1000
	e := startEngine(t, r)
	e.do(request{})
	const most = 1 << 20
	for _, l := range e.server.Load().loops {
		l.PostFunc(func() { l.mayHold = most / len(l.s.loops) })
	}
	call := strings.NewReplacer("Content-Length: 3", "Content-Length: 61440", "timeout=100", "timeout=300", "Neo", strings.Repeat("x", size)).Replace(plainCall)
	var conns []*net.TCPConn
	for range callers {
		conn := e.dial(t)
		_, _ = io.WriteString(conn, call[:len(call)-1])
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		eventually(t, "the call is read", func() bool { return unsent(conn) == 0 })
	}
	if held := bufferBytes(e); held > 2*most {
		t.Errorf("the loops hold %d KiB of calls, want about %d", held>>10, most>>10)
	}
	for _, conn := range conns {
		_, _ = io.WriteString(conn, call[len(call)-1:])
	}
	for _, conn := range conns {
		if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || res.StatusCode != 200 {
			t.Fatalf("a call whose end came later = %v, %v; want 200", res, err)
		}
	}
	for _, l := range e.server.Load().loops {
		held := make(chan int)
		eventually(t, "the loops hold nothing", func() bool { l.PostFunc(func() { held <- l.held }); return waittest.Receive(t, "the loop", held) == 0 })
	}
}
