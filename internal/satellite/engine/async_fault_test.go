package engine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const testToken = "token of the test's launch"

// startNode starts a queue's node that engines connect to, and returns the
// settings of routes.json for it.
func startNode(t *testing.T) *config.QueueSettings {
	t.Helper()
	dir := t.TempDir()
	var n *node.Node
	var address string
	eventually(t, "a free port for the queue", func() bool {
		address = deadAddress(t)
		var err error
		n, err = node.Start(t.Context(), node.Options{
			Name: "queue-0", Dir: dir, Secret: []byte(testToken), ClientListen: address, Log: slog.New(slog.DiscardHandler),
		})
		return err == nil
	})
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	settings := config.QueueSettings{Mode: config.QueueCluster, Replicas: 1, Servers: []string{address}}.WithDefaults()
	return &settings
}

// startShared starts an engine on a queue that it shares with others.
func startShared(t *testing.T, q *config.QueueSettings, routes ...config.Route) *testEngine {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(testToken), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEngineWith(t, Options{TokenFile: token}, config.Routes{Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: routes, Queue: q})
	e.awaitQueue()
	return e
}

// result returns what is answered for a call's result.
func (e *testEngine) result(id string) response {
	e.t.Helper()
	return e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "/result"})
}

// gate is an algorithm whose calls wait until they are let go.
type gate struct {
	calls   atomic.Int32
	entered chan string // request ids
	leave   chan struct{}
	once    sync.Once
}

func newGate(t *testing.T) *gate {
	g := &gate{entered: make(chan string, 100), leave: make(chan struct{})}
	t.Cleanup(g.open)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.leave) }) }

func (g *gate) run(c lsCall) (int, string) {
	g.calls.Add(1)
	g.entered <- c.requestID
	<-g.leave
	return 200, `{"result":"done","metadata":{"content_type":"text","duration":1}}`
}

// await waits until a call is in the algorithm.
func (g *gate) await(t *testing.T) string {
	t.Helper()
	select {
	case id := <-g.entered:
		return id
	case <-time.After(time.Minute):
		t.Fatal("no call came to the algorithm within a minute")
		return ""
	}
}

// TestAnEngineThatDiesLeavesItsCallToAnother: nothing is heard of the engine any more
// while its call runs.
func TestAnEngineThatDiesLeavesItsCallToAnother(t *testing.T) {
	q := startNode(t)
	g := newGate(t)
	s := newStrict(t, g.run)
	fast := newStrict(t, nil)
	first := startShared(t, q, lsRoute("foo/bar", s.addr))
	id := first.void(request{body: "Neo"})
	g.await(t)
	// As kill -9 does: nothing is told to the queue any more.
	first.opts.DrainTimeout = 10 * time.Millisecond
	first.durable.Session().Queue.Close()
	second := startShared(t, q, lsRoute("foo/bar", fast.addr))
	deadline := time.Now().Add(2 * time.Minute) // the queue hears nothing for 30 s first
	for second.state(id) != "succeeded" {
		if time.Now().After(deadline) {
			t.Fatalf("the call is %s two minutes after its engine died", second.state(id))
		}
		second.do(request{method: http.MethodGet, path: "/v1/async/" + id + "?wait=5"})
	}
	if got := second.result(id); got.status != 200 || got.json(t)["result"] != "Neo" {
		t.Errorf("result = %d %s, want the second engine's", got.status, got.body)
	}
	if n := fast.count(&fast.calls) + int(g.calls.Load()); n != 2 {
		t.Errorf("the call ran %d times, want 2", n)
	}
	g.open()
}

func (e *testEngine) state(id string) string {
	e.t.Helper()
	state, _ := e.do(request{method: http.MethodGet, path: "/v1/async/" + id}).json(e.t)["state"].(string)
	return state
}

func TestDrainingGivesCallsBack(t *testing.T) {
	q := startNode(t)
	g := newGate(t)
	s, fast := newStrict(t, g.run), newStrict(t, nil)
	first := startShared(t, q, lsRoute("foo/bar", s.addr))
	first.opts.DrainTimeout = 10 * time.Millisecond
	id := first.void(request{body: "Neo"})
	g.await(t)
	waits := first.void(request{body: "Trinity"})
	first.stop()
	second := startShared(t, q, lsRoute("foo/bar", fast.addr))
	for _, id := range []string{id, waits} {
		state := second.ended(id)
		// One that could not be given back in time comes back by itself, and counts.
		if n, _ := state["attempts"].(float64); state["state"] != "succeeded" || n < 1 || n > 2 {
			t.Errorf("the call is %v, want success at its first attempt or its second", state)
		}
	}
	g.open()
}

func TestDrainingWaitsForWhatRuns(t *testing.T) {
	q := startNode(t)
	g := newGate(t)
	s := newStrict(t, g.run)
	first := startShared(t, q, lsRoute("foo/bar", s.addr))
	id := first.void(request{body: "Neo"})
	g.await(t)
	waits := first.void(request{body: "Trinity"})
	first.stop()
	eventually(t, "the engine drains", first.draining.Load)
	g.open()
	if err := <-first.done; err != nil {
		t.Fatal(err)
	}
	first.done <- nil
	if n := g.calls.Load(); n != 1 {
		t.Errorf("%d calls ran in the engine that drains, want the one that ran already", n)
	}
	second := startShared(t, q, lsRoute("foo/bar", s.addr))
	if state := second.state(id); state != "succeeded" {
		t.Errorf("the call that ran is %s", state)
	}
	second.ended(waits)
}

func TestRetriesAndDeadLetters(t *testing.T) {
	var calls atomic.Int32
	api := httpReplica(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			panic(http.ErrAbortHandler) // the replica goes
		}
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write([]byte("third"))
	})
	lost := httpReplica(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	raises := httpReplica(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusInternalServerError) })
	e := startDurable(t, Options{durableAttempts: 3}, httpRoute("foo/bar", api), httpRoute("foo/lost", lost), httpRoute("foo/raises", raises))
	third := e.void(request{body: "x"})
	dead := e.void(request{path: "/v1/algo/foo/lost?output=void", body: "kept"})
	raised := e.void(request{path: "/v1/algo/foo/raises?output=void", body: "x"})
	if state := e.ended(third); state["state"] != "succeeded" || state["attempts"] != 3.0 {
		t.Errorf("a call whose replica went twice is %v, want success at the third", state)
	}
	if state := e.ended(raised); state["state"] != "failed" || state["attempts"] != 1.0 {
		t.Errorf("a call that raised is %v, want it failed at once", state)
	}
	if got := e.result(raised); got.status != 200 || errorMessage(t, got) != "no" {
		t.Errorf("its result = %d %s, want the algorithm's error", got.status, got.body)
	}
	state := e.ended(dead)
	if state["state"] != "dead" || state["attempts"] != 3.0 || state["error"] == nil {
		t.Errorf("a call whose replica always goes is %v, want it dead after 3", state)
	}
	letters, err := e.durable.Session().Queue.Keys(t.Context(), queue.BucketDead, "", 10)
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters = %v %v, want one", letters, err)
	}
}

// TestPoisonIsADeadLetter: what cannot be read becomes a dead letter, and stops nothing.
func TestPoisonIsADeadLetter(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	d := e.durable.Session()
	for i, header := range []map[string]string{
		nil, {"Call": ""}, {"Call": "{"}, {"Call": `{"v":99}`}, {"Call": `{"v":1,"ticket":"0000000000000000000000","key_id":"k"}`}, {"Call": `[]`}, {"Call": `{"surprise":1}`},
	} {
		m := queue.Message{Kind: queue.KindCall, Algorithm: "foo/bar", ID: fmt.Sprint("poison-", i), Header: header, Data: []byte("x")}
		if _, err := d.Queue.Publish(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if state := e.ended(e.void(request{body: "Neo"})); state["state"] != "succeeded" {
		t.Errorf("the call behind the poison is %v", state)
	}
	eventually(t, "the poison becomes a dead letter", func() bool {
		letters, err := d.Queue.Keys(t.Context(), queue.BucketDead, "", 100)
		return err == nil && len(letters) == 7
	})
	if n := s.count(&s.calls); n != 1 {
		t.Errorf("%d calls reached the algorithm, want 1", n)
	}
}

func TestCancel(t *testing.T) {
	g := newGate(t)
	s := newStrict(t, g.run)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	cancel := func(id string) response { return e.do(request{method: http.MethodDelete, path: "/v1/async/" + id}) }
	running, queued := e.void(request{body: "1"}), ""
	g.await(t)
	queued = e.void(request{body: "2"})
	if got := e.do(request{method: http.MethodGet, path: "/v1/async/" + queued}).json(t); got["state"] != "queued" || got["position"] != 1.0 {
		t.Errorf("the call that waits is %v, want it first in its line", got)
	}
	if got := e.result(queued); got.status != http.StatusAccepted {
		t.Errorf("its result = %d, want 202", got.status)
	}
	for _, id := range []string{queued, running} {
		if got := cancel(id); got.status != 200 || got.json(t)["state"] != "cancelled" {
			t.Errorf("cancel = %d %s, want it cancelled", got.status, got.body)
		}
		if got := cancel(id); got.status != http.StatusConflict {
			t.Errorf("cancelled twice = %d %s, want 409", got.status, got.body)
		}
		if got := e.result(id); got.status != http.StatusConflict {
			t.Errorf("its result = %d %s, want 409", got.status, got.body)
		}
	}
	eventually(t, "the replica whose call was cancelled is ended", func() bool { return s.count(&s.deleted) == 1 })
	if n := g.calls.Load(); n != 1 {
		t.Errorf("%d calls ran, want the one alone that was cancelled while it ran", n)
	}
	g.open()
}

// TestCancelWhileItEnds: of a cancel and an end at once, one wins, and both agree.
func TestCancelWhileItEnds(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10 {
				id := e.void(request{body: "Neo"})
				got := e.do(request{method: http.MethodDelete, path: "/v1/async/" + id})
				state := e.ended(id)["state"]
				if won := got.status == 200; won != (state == "cancelled") || !won && (got.status != http.StatusConflict || state != "succeeded") {
					t.Errorf("cancel = %d %s, and the call is %v", got.status, got.body, state)
				}
			}
		})
	}
	wg.Wait()
}

func TestOthersCallsAreNotThere(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr), lsRoute("foo/other", s.addr))
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)},
		config.Key{ID: "k2", Name: "limited", SHA256: config.HashKey("cst_limited"), Algorithms: []string{"foo/other"}})
	id := e.void(request{body: "Neo"})
	e.ended(id)
	eventually(t, "the limited key works", func() bool {
		return e.do(request{path: "/v1/algo/foo/other", auth: "Simple cst_limited", body: "x"}).status == 200
	})
	for _, test := range []struct {
		method, path, auth string
		want               int
	}{
		{"GET", "/v1/async/" + id, "Simple cst_limited", 404},
		{"GET", "/v1/async/" + id + "/result", "Simple cst_limited", 404},
		{"DELETE", "/v1/async/" + id, "Simple cst_limited", 404},
		{"GET", "/v1/async/" + id, "Simple nobody", 401},
		{"GET", "/v1/async/" + id, "", 200},
		{"GET", "/v1/async/req-00000000-0000-8000-8000-000000000000", "", 404},
		{"GET", "/v1/async/" + async.NewIDCodec([]byte("other")).Encode(async.NewIDCodec([]byte("other")).NewTicket("foo/bar"), async.Position{Seq: 1}), "", 404},
		{"GET", "/v1/async/", "", 404},
		{"GET", "/v1/async/" + id + "/else", "", 404},
		{"POST", "/v1/async/" + id, "", 405},
		{"GET", "/v1/async/" + id + "?wait=forever", "", 400},
		{"GET", "/v1/async/" + id + "?wait=301", "", 400},
	} {
		if got := e.do(request{method: test.method, path: test.path, auth: test.auth}); got.status != test.want {
			t.Errorf("%s %s with %q = %d %s, want %d", test.method, test.path, test.auth, got.status, got.body, test.want)
		}
	}
}

func TestIdempotencyKeyGivesTheSameID(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	once := request{body: "Neo", header: map[string]string{"Idempotency-Key": "once"}}
	ids := make([]string, 8)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() { ids[i] = e.void(once) })
	}
	wg.Wait()
	e.ended(ids[0])
	for _, id := range append(ids, e.void(once)) {
		if id != ids[0] {
			t.Errorf("the same Idempotency-Key gives %s and %s", ids[0], id)
		}
	}
	if n := s.count(&s.calls); n != 1 {
		t.Errorf("the call ran %d times, want once", n)
	}
	other := e.void(request{body: "Neo", header: map[string]string{"Idempotency-Key": "twice"}})
	if other == ids[0] {
		t.Error("another Idempotency-Key gives the same id")
	}
	if got := e.do(request{path: "/v1/algo/foo/bar?output=void", header: map[string]string{"Idempotency-Key": strings.Repeat("x", 300)}}); got.status != 400 {
		t.Errorf("an Idempotency-Key of 300 bytes = %d, want 400", got.status)
	}
}

// TestCallbacks: a result is posted where the call asks for it, or else its key.
func TestCallbacks(t *testing.T) {
	s := newStrict(t, nil)
	type post struct{ id, path, body, signature string }
	posts := make(chan post, 10)
	receiver := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		posts <- post{r.Header.Get("Webhook-Id"), r.URL.Path, string(body), r.Header.Get("Webhook-Signature")}
	})
	e := startEngineWith(t, Options{QueueDir: t.TempDir()}, config.Routes{
		Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: []config.Route{lsRoute("foo/bar", s.addr)},
		Callbacks: config.Callbacks{Allow: []string{"127.0.0.1"}},
	})
	e.awaitQueue()
	e.writeKeys(config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)},
		config.Key{ID: "k2", Name: "default", SHA256: config.HashKey("cst_default"), CallbackURL: "http://" + receiver + "/default"})
	eventually(t, "the other key works", func() bool {
		return e.do(request{auth: "Simple cst_default", body: "x"}).status == 200
	})
	byCall := map[string]string{"X-Callback-URL": "http://" + receiver + "/call"}
	for _, test := range []struct {
		r    request
		want string
	}{
		{request{body: "Neo", header: byCall}, "/call"},
		{request{body: "Neo", auth: "Simple cst_default"}, "/default"},
		{request{body: "Neo", auth: "Simple cst_default", header: byCall}, "/call"},
	} {
		id := e.void(test.r)
		select {
		case got := <-posts:
			if got.id != id || got.path != test.want || !strings.HasPrefix(got.body, `{"result":"Neo",`) || !strings.HasPrefix(got.signature, "v1,") {
				t.Errorf("posted %+v, want the result of %s at %s", got, id, test.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing is posted to %s within a minute", test.want)
		}
	}
	secret := func(auth string) string {
		got := e.do(request{method: http.MethodGet, path: "/v1/async/callback-secret", auth: auth})
		text, _ := got.json(t)["secret"].(string)
		return text
	}
	if one, other := secret(""), secret("Simple cst_default"); !strings.HasPrefix(one, "whsec_") || one == other {
		t.Errorf("secrets are %q and %q, want one of each key", one, other)
	}
	if got := e.do(request{path: "/v1/algo/foo/bar?output=void", header: map[string]string{"X-Callback-URL": "http://user:pass@host.example"}}); got.status != 400 ||
		strings.Count(got.body, "X-Callback-URL: a callback's URL has no user") != 1 || strings.Count(got.body, "a callback's URL") != 1 {
		t.Errorf("a callback URL with a password = %d %s, want 400 and one sentence", got.status, got.body)
	}
}

// TestVoidWithoutItsQueue: what was not stored is not called accepted.
func TestVoidWithoutItsQueue(t *testing.T) {
	s := newStrict(t, nil)
	q := config.QueueSettings{Mode: config.QueueCluster, Replicas: 3, Servers: []string{deadAddress(t)}}.WithDefaults()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(testToken), 0o600); err != nil {
		t.Fatal(err)
	}
	e := startEngineWith(t, Options{TokenFile: token}, config.Routes{
		Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: []config.Route{lsRoute("foo/bar", s.addr)}, Queue: &q,
	})
	got := e.do(request{path: "/v1/algo/foo/bar?output=void", body: "Neo"})
	if got.status != 503 || got.header.Get("Retry-After") == "" || !strings.Contains(errorMessage(t, got), "not stored") {
		t.Errorf("void without a queue = %d %v %s, want 503 that says it was not stored", got.status, got.header, got.body)
	}
	if got := e.do(request{body: "Neo"}); got.status != 200 {
		t.Errorf("a synchronous call beside it = %d %s", got.status, got.body)
	}
	if got := e.do(request{method: http.MethodGet, path: "/v1/async/req-x"}); got.status != 503 && got.status != 404 {
		t.Errorf("a call's state without a queue = %d %s", got.status, got.body)
	}
}
