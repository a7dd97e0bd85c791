package engine

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

var voidAnswer = regexp.MustCompile(`^\{"async":"void","request_id":"(req-[0-9a-f-]{36})"\}$`)

// startDurable starts an engine that runs its own queue.
func startDurable(t *testing.T, opts Options, routes ...config.Route) *testEngine {
	t.Helper()
	if opts.QueueDir == "" {
		opts.QueueDir = t.TempDir()
	}
	e := startEngineWith(t, opts, config.Routes{Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: routes})
	e.awaitQueue()
	return e
}

// awaitQueue waits until calls can be stored.
func (e *testEngine) awaitQueue() {
	e.t.Helper()
	eventually(e.t, "the queue takes calls", func() bool {
		d := e.durable.Session()
		return d != nil && d.Queue.Ready() == nil
	})
}

// void makes a call that nobody waits for, and returns its id.
func (e *testEngine) void(r request) string {
	e.t.Helper()
	if r.path == "" {
		r.path = "/v1/algo/foo/bar?output=void"
	}
	if r.header["Idempotency-Key"] == "" {
		r.header = maps.Clone(r.header)
		if r.header == nil {
			r.header = map[string]string{}
		}
		r.header["Idempotency-Key"] = rand.Text()
	}
	var got response
	eventually(e.t, "the queue answers", func() bool { // on a busy machine it may take its time
		got = e.do(r)
		return got.status != http.StatusServiceUnavailable
	})
	match := voidAnswer.FindStringSubmatch(got.body)
	if got.status != 200 || match == nil {
		e.t.Fatalf("%s = %d %s, want 200 and a request id", r.path, got.status, got.body)
	}
	return match[1]
}

// ended waits for a call's end and returns its state.
func (e *testEngine) ended(id string) map[string]any {
	e.t.Helper()
	var last map[string]any
	eventually(e.t, "the call "+id+" ends", func() bool {
		got := e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "?wait=20"})
		if got.status != 200 {
			return false
		}
		last = got.json(e.t)
		switch last["state"] {
		case "queued", "running":
			return false
		}
		return true
	})
	return last
}

func TestVoidCallRunsAndItsResultIsKept(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	id := e.void(request{body: "Neo"})
	state := e.ended(id)
	for field, want := range map[string]any{"request_id": id, "algorithm": "neo/Hello/" + testHash, "vanity_url": "foo/bar", "state": "succeeded", "attempts": 1.0} {
		if state[field] != want {
			t.Errorf("%s = %v, want %v", field, state[field], want)
		}
	}
	for _, field := range []string{"created_at", "started_at", "finished_at"} {
		if state[field] == nil {
			t.Errorf("%s is missing in %v", field, state)
		}
	}
	got := e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "/result"})
	if want := `{"result":"Neo","metadata":{"content_type":"text","duration":0.25}}`; got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("result = %d %s, want %s", got.status, got.body, want)
	}
	if log := e.access.String(); strings.Count(log, `"durable":"accepted"`)+strings.Count(log, `"durable":"run"`) > 2 {
		t.Errorf("the access log has too much: %s", log)
	}
	if n := e.metric(`constellation_engine_calls_total{algorithm="foo/bar",outcome="ok"}`); n != "1" {
		t.Errorf("%s calls are counted, want the run alone", n)
	}
	if n := e.metric(`constellation_queue_finished_total{algorithm="foo/bar",outcome="succeeded"}`); n != "1" {
		t.Errorf("%s durable calls are counted, want 1", n)
	}
}

func TestAThousandVoidCallsHaveAThousandResults(t *testing.T) {
	api := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = fmt.Fprint(w, r.Header.Get("X-Request-Id"))
	})
	r := httpRoute("foo/bar", api)
	r.Concurrency = 16
	e := startDurable(t, Options{}, r)
	ids := make([]string, 1000)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := i; n < len(ids); n += 16 {
				ids[n] = e.void(request{body: fmt.Sprint(n)})
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, id := range ids {
		seen[id] = true
		e.ended(id)
		got := e.do(request{method: http.MethodGet, path: "/v1/async/" + id + "/result"})
		if got.status != 200 || got.json(t)["result"] != id {
			t.Fatalf("result of %s = %d %s", id, got.status, got.body)
		}
	}
	if len(seen) != len(ids) {
		t.Errorf("%d ids of %d calls", len(seen), len(ids))
	}
}
