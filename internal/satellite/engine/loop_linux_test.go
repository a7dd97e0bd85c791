package engine

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// busyLoops is how many loops wait without telling the runtime.
func busyLoops(e *testEngine) int {
	n, busy := 0, make(chan bool)
	for _, l := range e.server.Load().loops {
		l.PostFunc(func() { busy <- l.Busy() })
		if waittest.Receive(e.t, "the loop", busy) {
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
	if got := e.do(request{body: strings.Repeat("N", 2*http1.MaxBody)}); got.status != http.StatusOK {
		t.Errorf("a call that is too large for a loop = %d %.200s", got.status, got.body)
	}
	enough.Store(true)
	callers.Wait()
	eventually(t, "loops are quiet again", func() bool { return busyLoops(e) == 0 })
}

// TestPanicTurnsTheLoopsOff: a panic in a call, or beside all calls, is
// answered, said, and the last thing that the loops take: calls under way end
// well, and the others go through net/http, on old connections and on new ones.
func TestPanicTurnsTheLoopsOff(t *testing.T) {
	for name, panics := range map[string]func(e *testEngine){
		"in a call": func(e *testEngine) {
			if got := e.do(request{path: "/v1/algo/foo/broken"}); got.status != http.StatusInternalServerError || !strings.Contains(errorMessage(e.t, got), "req-") {
				e.t.Errorf("call that panics = %d %s, want 500 and an error object", got.status, got.body)
			}
		},
		"beside the calls": func(e *testEngine) { e.server.Load().loops[0].PostFunc(func() { panic("a test") }) },
	} {
		t.Run(name, func(t *testing.T) {
			enter, leave := make(chan bool, 1), make(chan bool)
			s := newStrict(t, func(c lsCall) (int, string) {
				if string(c.body) == "Neo" {
					enter <- true
					waittest.Hold(t, leave)
				}
				return 200, goodReply
			})
			e := startEngine(t, lsRoute("foo/bar", s.addr), lsRoute("foo/broken", s.addr), lsRoute("foo/other", s.addr))
			idle := e.dial(t)
			_, _ = io.WriteString(idle, strings.NewReplacer("Neo", "Leo", "foo/bar", "foo/other").Replace(plainCall))
			idleReader := bufio.NewReader(idle)
			answered(t, idleReader)
			under := e.dial(t)
			_, _ = io.WriteString(under, plainCall)
			waittest.Receive(t, "a call reaches its replica", enter)
			if got := e.metric("constellation_engine_event_loop"); got != "1" {
				t.Errorf("constellation_engine_event_loop = %q, want 1", got)
			}
			whole := e.table.Load()
			e.table.Store(withoutPool(whole, "foo/broken"))
			panics(e)
			eventually(t, "the engine says so", func() bool { return strings.Contains(e.log.String(), "the event loop is turned off after a panic") })
			e.table.Store(whole) // metrics look at all
			if got := e.metric("constellation_engine_event_loop"); got != "0" {
				t.Errorf("constellation_engine_event_loop = %q, want 0", got)
			}
			loops := e.metric(`constellation_engine_path_calls_total{path="event_loop"}`)
			waittest.Send(t, "a call that runs", leave, true)
			answered(t, bufio.NewReader(under))
			_, _ = io.WriteString(idle, strings.NewReplacer("Neo", "Leo", "foo/bar", "foo/other").Replace(plainCall))
			answered(t, idleReader)
			fresh := e.dial(t)
			_, _ = io.WriteString(fresh, strings.NewReplacer("Neo", "Leo", "foo/bar", "foo/other").Replace(plainCall))
			answered(t, bufio.NewReader(fresh))
			if now := e.metric(`constellation_engine_path_calls_total{path="event_loop"}`); now != loops {
				t.Errorf("the loops took %s calls after they had %s, want no more", now, loops)
			}
			if said := strings.Count(e.log.String(), "the event loop is turned off"); said != 1 {
				t.Errorf("it is said %d times, want once", said)
			}
		})
	}
}

// withoutPool is a table in which calls of a route panic.
func withoutPool(whole *routing.Table, vanityURL string) *routing.Table {
	broken, r := *whole, *whole.ByVanityURL[vanityURL]
	r.Pool = nil
	broken.ByVanityURL = maps.Clone(whole.ByVanityURL)
	broken.ByVanityURL[vanityURL] = &r
	return &broken
}

// answered reads an answer and wants it good.
func answered(t *testing.T, br *bufio.Reader) {
	t.Helper()
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || !strings.Contains(string(body), `"good"`) {
		t.Errorf("call = %d %s, want its answer", res.StatusCode, body)
	}
}

// TestPathsAreCounted: each call counts for the way it took, and each hand-over
// for its reason.
func TestPathsAreCounted(t *testing.T) {
	s := newStrict(t, func(lsCall) (int, string) { return 200, goodReply })
	e := startEngine(t, lsRoute("foo/bar", s.addr), httpRoute("foo/large", httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(300<<10))
		_, _ = io.WriteString(w, strings.Repeat("x", 300<<10))
	})))
	call := strings.Replace(plainCall, "keep-alive", "close", 1)
	for _, send := range []string{
		call,
		plainCall + call,
		strings.Replace(call, "\r\nHost", "\nHost", 1),
		strings.ReplaceAll(call, "\r\n", "\n"),
		strings.Replace(call, "/bar", "/large", 1),
	} {
		if got := e.raw(t, send); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("call = %.200q, want 200", got)
		}
	}
	for name, want := range map[string]string{
		`constellation_engine_path_calls_total{path="event_loop"}`:             "2",
		`constellation_engine_path_calls_total{path="net_http"}`:               "4",
		`constellation_engine_handovers_total{of="call",reason="not_plain"}`:   "2",
		`constellation_engine_handovers_total{of="call",reason="pipelined"}`:   "1",
		`constellation_engine_handovers_total{of="call",reason="unfinished"}`:  "0",
		`constellation_engine_handovers_total{of="answer",reason="large"}`:     "1",
		`constellation_engine_handovers_total{of="answer",reason="not_plain"}`: "0",
	} {
		if got := e.metric(name); got != want {
			t.Errorf("%s = %q, want %s", name, got, want)
		}
	}
}

// TestWithoutEventLoop: the switch leaves all calls to net/http.
func TestWithoutEventLoop(t *testing.T) {
	e := startEngineWith(t, Options{NoFastPath: true}, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", newStrict(t, nil).addr)}})
	if got := e.do(request{body: "Neo"}); got.status != 200 {
		t.Errorf("call = %d %s, want 200", got.status, got.body)
	}
	for name, want := range map[string]string{
		"constellation_engine_event_loop":                          "0",
		`constellation_engine_path_calls_total{path="event_loop"}`: "0",
		`constellation_engine_path_calls_total{path="net_http"}`:   "1",
	} {
		if got := e.metric(name); got != want {
			t.Errorf("%s = %q, want %s", name, got, want)
		}
	}
}
