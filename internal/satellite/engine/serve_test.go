package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func errorMessage(t *testing.T, r response) string {
	t.Helper()
	object, _ := r.json(t)["error"].(map[string]any)
	message, _ := object["message"].(string)
	return message
}

func TestConcurrencyIsNeverExceeded(t *testing.T) {
	var (
		replicas  []*strictLangserver
		endpoints []string
	)
	for range 3 {
		s := newStrict(t, nil)
		replicas, endpoints = append(replicas, s), append(endpoints, s.addr)
	}
	e := startEngine(t, lsRoute("foo/bar", endpoints...))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				if got := e.do(request{body: "Neo"}); got.status != 200 || !strings.Contains(got.body, `"Neo"`) {
					t.Errorf("call = %d %s, want Neo", got.status, got.body)
				}
			}
		})
	}
	wg.Wait()
	total := 0
	for _, s := range replicas {
		total += s.count(&s.calls)
		if n := s.count(&s.most); n != 1 {
			t.Errorf("replica had %d calls at once, want 1", n)
		}
		if n := s.count(&s.mostConn); n > 2 { // one, and one that is being closed
			t.Errorf("replica had %d connections at once", n)
		}
		if s.count(&s.calls) == 0 {
			t.Error("a replica got no calls at all")
		}
	}
	if total != 320 {
		t.Errorf("%d calls reached replicas, want 320", total)
	}
}

func TestFullQueueAnd503(t *testing.T) {
	enter, leave := make(chan bool), make(chan bool)
	s := newStrict(t, func(lsCall) (int, string) {
		enter <- true
		waittest.Hold(t, leave)
		return 200, `{"result":"done"}`
	})
	r := lsRoute("foo/bar", s.addr)
	r.Queue.Limit = 1
	empty := httpRoute("foo/empty", deadAddress(t))
	e := startEngine(t, r, empty)
	answers := make(chan response, 2)
	go func() { answers <- e.do(request{}) }()
	waittest.Receive(t, "a call reaches its replica", enter)
	go func() { answers <- e.do(request{}) }()
	eventually(t, "the second call queues", func() bool {
		return strings.Contains(e.scrape(), `constellation_engine_calls_queued{algorithm="foo/bar"} 1`)
	})

	got := e.do(request{})
	if got.status != 429 || got.header.Get("Retry-After") == "" || !strings.Contains(errorMessage(t, got), "busy") {
		t.Errorf("call with a full queue = %d, Retry-After %q, %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	got = e.do(request{path: "/v1/algo/foo/empty"})
	if got.status != 503 || got.header.Get("Retry-After") == "" || errorMessage(t, got) != "no replica of foo/empty is ready; try again later" {
		t.Errorf("call with no replica = %d, Retry-After %q, %s", got.status, got.header.Get("Retry-After"), got.body)
	}
	waittest.Send(t, "a call that runs", leave, true)
	waittest.Receive(t, "a call reaches its replica", enter)
	waittest.Send(t, "a call that runs", leave, true)
	for range 2 {
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 200 {
			t.Errorf("call that waited = %d, want 200", got.status)
		}
	}
	for _, want := range []string{
		`constellation_engine_calls_total{algorithm="foo/bar",outcome="ok"} 2`,
		`constellation_engine_calls_total{algorithm="foo/bar",outcome="queue_full"} 1`,
		`constellation_engine_calls_total{algorithm="foo/empty",outcome="no_replica"} 1`,
		`constellation_engine_call_run_seconds_count{algorithm="foo/bar"} 2`,
		`constellation_engine_replicas_ready{algorithm="foo/bar"} 1`,
	} {
		eventually(t, want, func() bool { return strings.Contains(e.scrape(), want) })
	}
}

func TestRefusedDialGoesToAnotherReplica(t *testing.T) {
	s := newStrict(t, nil)
	r := lsRoute("foo/bar", deadAddress(t), s.addr)
	e := startEngine(t, r)
	for range 4 {
		if got := e.do(request{body: "Neo"}); got.status != 200 || errorMessage(t, got) != "" {
			t.Errorf("call = %d %s, want 200", got.status, got.body)
		}
	}
	if n := s.count(&s.calls); n != 4 {
		t.Errorf("the live replica had %d calls, want 4", n)
	}
}

func TestClosedIdleConnectionIsNotUsed(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	for range 5 {
		if got := e.do(request{body: "Neo"}); got.status != 200 || errorMessage(t, got) != "" {
			t.Fatalf("call = %d %s, want 200", got.status, got.body)
		}
		_ = s.server.Close() // closes the idle connection under us
		s.restart()
	}
}

// TestLostReplica: a connection that ends after the call went out is told, not
// tried again: the call may have run.
func TestLostReplica(t *testing.T) {
	var calls atomic.Int32
	cut := func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		panic(http.ErrAbortHandler)
	}
	half := func(w http.ResponseWriter, _ *http.Request) {
		calls.Add(1)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"result":`)
	}
	for name, handler := range map[string]http.HandlerFunc{"cut": cut, "half": half} {
		t.Run(name, func(t *testing.T) {
			calls.Store(0)
			e := startEngine(t, lsRoute("foo/bar", httpReplica(t, handler), httpReplica(t, handler)))
			got := e.do(request{})
			if got.status != 200 || errorMessage(t, got) != protocol.RanOut || calls.Load() != 1 {
				t.Errorf("call = %d %s after %d tries, want 200 with %q after one", got.status, got.body, calls.Load(), protocol.RanOut)
			}
		})
	}
}

func TestTimeoutEndsTheLangserver(t *testing.T) {
	release := make(chan bool)
	t.Cleanup(func() { close(release) })
	var slow atomic.Bool
	slow.Store(true)
	s := newStrict(t, func(lsCall) (int, string) {
		if slow.Load() {
			waittest.Hold(t, release)
		}
		return 200, `{"result":"done"}`
	})
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	got := e.do(request{path: "/v1/algo/foo/bar?timeout=1"})
	object, _ := got.json(t)["error"].(map[string]any)
	if got.status != 200 || object["message"] != protocol.RanOut || object["error_type"] != "TimeoutError" {
		t.Errorf("call = %d %s, want 200 with %q", got.status, got.body, protocol.RanOut)
	}
	eventually(t, "the langserver gets DELETE", func() bool { return s.count(&s.deleted) == 1 })
	if got := e.do(request{}); got.status != 503 {
		t.Errorf("call while the replica is down = %d, want 503", got.status)
	}
	slow.Store(false)
	s.restart()
	eventually(t, "the replica serves again", func() bool { return e.do(request{}).status == 200 })
	if n := s.count(&s.deleted); n != 1 {
		t.Errorf("the langserver got %d DELETEs, want 1", n)
	}
}

func TestTimeoutUnderRawAndInTheQueue(t *testing.T) {
	gone := make(chan bool, 8)
	addr := httpReplica(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		waittest.Hold(t, r.Context().Done())
		gone <- true
	})
	r := httpRoute("foo/bar", addr)
	r.Concurrency = 1
	r.TimeoutSeconds = 3
	e := startEngine(t, r)
	answers := make(chan response, 2)
	for range 2 { // one runs, one waits: both time out
		go func() { answers <- e.do(request{path: "/v1/algo/foo/bar?output=raw"}) }()
	}
	for range 2 {
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 504 || errorMessage(t, got) != protocol.RanOut {
			t.Errorf("call = %d %s, want 504 with %q", got.status, got.body, protocol.RanOut)
		}
	}
	waittest.Receive(t, "the algorithm hears that its call is cancelled", gone) // the http algorithm was told
	if !strings.Contains(e.scrape(), `constellation_engine_replicas_ready{algorithm="foo/bar"} 1`) {
		t.Error("an http replica is quarantined after a time-out, want it ready")
	}
}

func TestCallerWhoLeaves(t *testing.T) {
	gone := make(chan bool, 1)
	entered := make(chan bool, 1)
	web := httpReplica(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		entered <- true
		waittest.Hold(t, r.Context().Done())
		gone <- true
	})
	finish := make(chan bool)
	s := newStrict(t, func(lsCall) (int, string) {
		entered <- true
		waittest.Hold(t, finish)
		return 200, `{"result":1}`
	})
	e := startEngine(t, httpRoute("foo/web", web), lsRoute("foo/ls", s.addr))
	for _, path := range []string{"/v1/algo/foo/web", "/v1/algo/foo/ls"} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() { _, _ = e.try(ctx, request{path: path}); close(done) }()
		waittest.Receive(t, "a call reaches its replica", entered)
		cancel()
		waittest.Receive(t, "the end of the call", done)
	}
	waittest.Receive(t, "the algorithm hears that its call is cancelled", gone) // an http call is cancelled
	eventually(t, "its slot is free", func() bool {
		return strings.Contains(e.scrape(), `constellation_engine_calls_in_flight{algorithm="foo/web"} 0`)
	})
	// A langserver cannot cancel: its slot stays taken until the call ends.
	if want := `constellation_engine_calls_in_flight{algorithm="foo/ls"} 1`; !strings.Contains(e.scrape(), want) {
		t.Errorf("metrics have no %s", want)
	}
	waittest.Send(t, "the call that runs", finish, true)
	eventually(t, "the slot is free", func() bool {
		return strings.Contains(e.scrape(), `constellation_engine_calls_in_flight{algorithm="foo/ls"} 0`)
	})
}

func TestReload(t *testing.T) {
	a := newStrict(t, func(lsCall) (int, string) { return 200, `{"result":"a"}` })
	b := newStrict(t, func(lsCall) (int, string) { return 200, `{"result":"b"}` })
	e := startEngine(t, lsRoute("foo/bar", a.addr))
	result := func(path string) any { return e.do(request{path: path}).json(t)["result"] }
	if got := result("/v1/algo/foo/bar"); got != "a" {
		t.Fatalf("result = %v, want a", got)
	}

	e.writeRoutes(config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", b.addr), lsRoute("foo/more", a.addr)}})
	eventually(t, "the new routes count", func() bool { return result("/v1/algo/foo/bar") == "b" && result("/v1/algo/foo/more") == "a" })

	e.writeBytes(config.RoutesFile, []byte(`{"algorithms":[`))
	eventually(t, "the broken file is told", func() bool {
		return strings.Contains(e.scrape(), `constellation_engine_config_valid{file="routes.json"} 0`) &&
			strings.Contains(e.log.String(), "the old one stays in use")
	})
	if got := result("/v1/algo/foo/bar"); got != "b" {
		t.Errorf("result with a broken file = %v, want b", got)
	}

	e.writeBytes(config.RoutesFile, []byte(`{"algorithms":[{"vanity_url":"foo/bar","algorithm":"neo/hello/`+testHash+`","service":"x"}]}`))
	eventually(t, "a service without a cluster is told", func() bool { return strings.Contains(e.log.String(), "no cluster to look it up in") })

	e.writeRoutes(config.Routes{Algorithms: []config.Route{lsRoute("foo/more", a.addr)}})
	eventually(t, "a removed algorithm is gone", func() bool { return e.do(request{}).status == 404 })
	if strings.Contains(e.scrape(), `algorithm="foo/bar"`) {
		t.Error("metrics still have the removed algorithm")
	}

	e.writeKeys(config.Key{ID: "k2", SHA256: config.HashKey("other")})
	eventually(t, "a revoked key stops working", func() bool { return e.do(request{path: "/v1/algo/foo/more"}).status == 401 })
	e.writeBytes(config.KeysFile, []byte(`nonsense`))
	eventually(t, "broken keys are told", func() bool {
		return strings.Contains(e.scrape(), `constellation_engine_config_valid{file="keys.json"} 0`)
	})
	if got := e.do(request{path: "/v1/algo/foo/more", auth: "other"}); got.status != 200 {
		t.Errorf("call with broken keys = %d, want 200: the last good ones count", got.status)
	}
}

// TestReloadOfAMountedVolume: Kubernetes swaps a symlink to a new folder.
func TestReloadOfAMountedVolume(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	for _, name := range []string{config.RoutesFile, config.KeysFile} {
		data, err := os.ReadFile(filepath.Join(e.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range []string{"..1", "..2"} {
			if err := os.MkdirAll(filepath.Join(e.dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			if version == "..2" && name == config.KeysFile {
				data = []byte(`{"keys":[]}`)
			}
			if err := os.WriteFile(filepath.Join(e.dir, version, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(target, name string) {
		t.Helper()
		temporary := filepath.Join(e.dir, "tmp")
		if err := os.Symlink(target, temporary); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temporary, filepath.Join(e.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", "..data")
	link("..data/"+config.RoutesFile, config.RoutesFile)
	link("..data/"+config.KeysFile, config.KeysFile)
	if got := e.do(request{}); got.status != 200 {
		t.Fatalf("call = %d, want 200", got.status)
	}
	link("..2", "..data")
	eventually(t, "the swapped keys count", func() bool { return e.do(request{}).status == 401 })
}

func TestStartWithABrokenConfiguration(t *testing.T) {
	good := `{"algorithms":[]}`
	for _, test := range []struct{ name, routes, keys, want string }{
		{"no files", "", "", "routes.json: no such file"},
		{"broken routes", "{", `{"keys":[]}`, "routes.json: line 1 is not JSON"},
		{"no keys", good, "", "keys.json: no such file"},
		{"broken keys", good, `{"keys":[{}]}`, "keys.json: keys[0]: a key needs an id"},
		{"service without a cluster", `{"algorithms":[{"vanity_url":"foo/bar","algorithm":"neo/hello/` + testHash + `","service":"algo-x"}]}`, `{"keys":[]}`, "routes.json names the service algo-x and there is no cluster"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range map[string]string{config.RoutesFile: test.routes, config.KeysFile: test.keys} {
				if content != "" {
					if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
			_, err := New(t.Context(), Options{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want …%s…", err, test.want)
			}
		})
	}
}

func TestDrainLosesNoCall(t *testing.T) {
	enter, leave := make(chan bool, 8), make(chan bool)
	s := newStrict(t, func(lsCall) (int, string) {
		enter <- true
		waittest.Hold(t, leave)
		return 200, `{"result":"done"}`
	})
	e := startEngineWith(t, Options{DrainDelay: 2 * time.Second}, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", s.addr)}})
	if got := e.do(request{method: "GET", path: "/readyz"}); got.status != 200 {
		t.Errorf("/readyz = %d, want 200", got.status)
	}
	answers := make(chan response, 3)
	call := func() { answers <- e.do(request{}) }
	go call()
	waittest.Receive(t, "a call reaches its replica", enter)
	go call()
	eventually(t, "the second call queues", func() bool { return strings.Contains(e.scrape(), `calls_queued{algorithm="foo/bar"} 1`) })
	e.stop()
	eventually(t, "it is not ready any more", func() bool { return e.do(request{method: "GET", path: "/readyz"}).status == 503 })
	if got := e.do(request{method: "GET", path: "/healthz"}); got.status != 200 {
		t.Errorf("/healthz while draining = %d, want 200", got.status)
	}
	go call() // still accepted
	eventually(t, "the third call queues", func() bool { return strings.Contains(e.scrape(), `calls_queued{algorithm="foo/bar"} 2`) })
	eventually(t, "the listener is closed", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	for range 3 {
		waittest.Send(t, "a call that runs", leave, true)
	}
	for range 3 {
		if got := waittest.Receive(t, "the answer to a call", answers); got.status != 200 || !strings.Contains(got.body, "done") {
			t.Errorf("call during the drain = %d %s, want done", got.status, got.body)
		}
	}
	if err := waittest.Receive(t, "the end of Serve", e.done); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	e.done <- nil
}

func TestAccessLog(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	e.do(request{body: "a secret body", header: map[string]string{"X-Request-ID": "my-id"}})
	var line map[string]any
	eventually(t, "the line is written", func() bool {
		return json.Unmarshal([]byte(e.access.String()), &line) == nil
	})
	for key, want := range map[string]any{
		"request_id": "my-id", "algorithm": "foo/bar", "key_id": "k1", "status": 200.0, "outcome": "ok", "version": "neo/Hello/" + testHash,
	} {
		if line[key] != want {
			t.Errorf("access log %s = %v, want %v", key, line[key], want)
		}
	}
	for _, secret := range []string{"a secret body", testKey} {
		if strings.Contains(e.access.String()+e.log.String(), secret) {
			t.Errorf("the logs have %q", secret)
		}
	}
}

func TestCutOffBody(t *testing.T) {
	s := newStrict(t, nil)
	e := startEngine(t, lsRoute("foo/bar", s.addr))
	c, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST /v1/algo/foo/bar HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf", testKey)
	_ = c.Close()
	eventually(t, "the call is logged", func() bool {
		return strings.Contains(e.access.String(), "cut off") || strings.Contains(e.access.String(), `"status":400`)
	})
	if n := s.count(&s.calls); n != 0 {
		t.Errorf("the replica got %d calls, want none", n)
	}
}

func TestEngineFault(t *testing.T) {
	e := startEngine(t)
	broken := &routing.Route{Route: lsRoute("foo/bar").WithDefaults(), Timeout: time.Second, Metrics: e.Engine.metrics.Algorithm("foo/bar")} // no pool
	e.table.Store(&routing.Table{ByVanityURL: map[string]*routing.Route{"foo/bar": broken}})
	got := e.do(request{})
	if got.status != 500 || !strings.Contains(errorMessage(t, got), "req-") {
		t.Errorf("call that panics = %d %s, want 500 and an error object", got.status, got.body)
	}
	if !strings.Contains(e.log.String(), "the engine panicked") {
		t.Error("the log does not tell of the panic")
	}
}

// TestNoTimeLeftIsNotARefusal: a call that gets its slot in the moment of its
// deadline fails before it connects; the replica is not ejected for it.
func TestNoTimeLeftIsNotARefusal(t *testing.T) {
	e := startEngine(t, httpRoute("foo/bar", newStrict(t, nil).addr))
	r := e.table.Load().Routes[0]
	for name, ctx := range map[string]func() context.Context{
		"no time left":    t.Context,
		"caller who left": func() context.Context { ctx, cancel := context.WithCancel(t.Context()); cancel(); return ctx },
	} {
		c := &call.Call{Call: protocol.Call{ID: "req-x", Start: time.Now().Add(-time.Minute)}, Log: e.Engine.log}
		c.To(r)
		c.Timeout = 30 * time.Second
		body := memory.NewBuffer(1)
		if _, f := e.dispatch(ctx(), c, body, nil); f == nil {
			t.Errorf("%s: the call succeeds, want a failure", name)
		}
		body.Release()
		if s := r.Pool.State(); s.Ready != 1 || s.InFlight != 0 {
			t.Errorf("%s: pool = %+v, want the replica ready and idle", name, s)
		}
	}
}
