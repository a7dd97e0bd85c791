package engine

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// busyLoops is how many loops wait without telling the runtime.
func busyLoops(e *testEngine) int {
	n, busy := 0, make(chan bool)
	for _, l := range e.front.Load().loops {
		l.post(func() { busy <- l.busy })
		if <-busy {
			n++
		}
	}
	return n
}

// TestLoopsAreBusyWhileThereIsMuchToDo: such a loop keeps its processor while
// it waits; even so the world can be stopped, calls that net/http takes are
// served, and afterwards the loop lets go.
func TestLoopsAreBusyWhileThereIsMuchToDo(t *testing.T) {
	t.Parallel()
	r := httpRoute("foo/bar", httpReplica(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	r.Concurrency = 16
	e := startEngine(t, r)
	if got := e.do(request{body: "Neo"}); got.status != http.StatusOK {
		t.Fatalf("a call = %d %s", got.status, got.body)
	}
	if n := busyLoops(e); n != 0 {
		t.Errorf("%d loops of an engine without calls are busy", n)
	}
	var (
		callers sync.WaitGroup
		enough  atomic.Bool
	)
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		callers.Go(func() {
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			for answer := make([]byte, 4096); !enough.Load(); {
				if _, err := io.WriteString(conn, plainCall); err != nil {
					t.Error(err)
					return
				}
				if n, err := conn.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200 ") {
					t.Errorf("a call = %q, %v", answer[:n], err)
					return
				}
			}
		})
	}
	eventually(t, "loops are busy", func() bool { return busyLoops(e) > 0 })
	for range 20 {
		runtime.GC() // stops the world twice
	}
	if got := e.do(request{body: strings.Repeat("N", 2*maxPlainBody)}); got.status != http.StatusOK {
		t.Errorf("a call that is too large for a loop = %d %.200s", got.status, got.body)
	}
	enough.Store(true)
	callers.Wait()
	eventually(t, "loops are quiet again", func() bool { return busyLoops(e) == 0 })
}
