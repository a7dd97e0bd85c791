package engine

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
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

// TestVoidAsTheGoAndCSharpClientsCall makes the void calls of the official clients
// for Go and C#: the key without a scheme, what each of them puts into the address
// and the body, and an answer that they can read. Both reject any status but 200,
// and fields that they do not know; C# reads an error as a flat map of strings.
func TestVoidAsTheGoAndCSharpClientsCall(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr))
	const vanity, byName = "/v1/algo/foo/bar", "/v1/algo/neo/Hello/" + testHash
	const golang, csharp = "?output=void&stdout=false&timeout=300", "?timeout=300&stdout=False&output=void"
	for _, test := range []struct{ name, path, contentType, body, result string }{
		{"Go, text", vanity + golang, "text/plain", "Neo", `"Neo"`},
		{"Go, JSON", vanity + golang, "application/json", `{"name":"Neo"}`, `{"name":"Neo"}`},
		{"Go, binary", vanity + golang, "application/octet-stream", "\x07\x08", ""},
		{"Go, by version", byName + golang, "text/plain", "Neo", `"Neo"`},
		{"C#, a string, which is JSON", vanity + csharp, "application/json; charset=utf-8", `"Neo"`, `"Neo"`},
		{"C#, an object", vanity + csharp, "application/json; charset=utf-8", `{"name":"Neo"}`, `{"name":"Neo"}`},
		{"C#, nothing", vanity + csharp, "application/json; charset=utf-8", `null`, `null`},
		{"C#, by version", byName + csharp, "application/json; charset=utf-8", `"Neo"`, `"Neo"`},
	} {
		got := e.do(request{path: test.path, auth: testKey, contentType: test.contentType, body: test.body})
		var answer struct {
			Async     string `json:"async"`
			RequestID string `json:"request_id"`
		}
		read := json.NewDecoder(strings.NewReader(got.body))
		read.DisallowUnknownFields()
		if err := read.Decode(&answer); err != nil || got.status != http.StatusOK || answer.Async != "void" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s = %d %s %s, %v; want 200 and the answer of a void call", test.name, got.status, got.header.Get("Content-Type"), got.body, err)
			continue
		}
		e.ended(answer.RequestID)
		var result struct{ Result json.RawMessage }
		if err := json.Unmarshal([]byte(e.result(answer.RequestID).body), &result); err != nil || test.result != "" && string(result.Result) != test.result {
			t.Errorf("%s: the result is %s, %v; want %s", test.name, result.Result, err, test.result)
		}
	}
	for name, test := range map[string]struct {
		request
		status int
	}{
		"a wrong key":          {request{path: vanity + csharp, auth: "cst_wrong", body: "Neo"}, http.StatusUnauthorized},
		"an odd type":          {request{path: vanity + csharp, auth: testKey, contentType: "image/png", body: "Neo"}, http.StatusUnsupportedMediaType},
		"an unknown algorithm": {request{path: "/v1/algo/foo/none" + csharp, auth: testKey, body: "Neo"}, http.StatusNotFound},
	} {
		got := e.do(test.request)
		var answer struct{ Error map[string]string }
		if err := json.Unmarshal([]byte(got.body), &answer); err != nil || got.status != test.status || answer.Error["message"] == "" {
			t.Errorf("%s = %d %s, %v; want %d and a flat error", name, got.status, got.body, err, test.status)
		}
	}
}

// TestATimeoutIsTriedAgainWhereAsked: stage.queue.retry_timeouts reaches the calls.
func TestATimeoutIsTriedAgainWhereAsked(t *testing.T) {
	for _, again := range []bool{false, true} {
		var runs atomic.Int32
		api := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that its client goes
			if runs.Add(1) == 1 {
				<-r.Context().Done()
				return
			}
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("second"))
		})
		queue := config.QueueSettings{Mode: config.QueueEdge, RetryTimeouts: again}.WithDefaults()
		e := startEngineWith(t, Options{QueueDir: t.TempDir()}, config.Routes{
			Satellite: config.Satellite{ID: "s", Version: 1}, Algorithms: []config.Route{httpRoute("foo/bar", api)}, Queue: &queue,
		})
		e.awaitQueue()
		state := e.ended(e.void(request{path: "/v1/algo/foo/bar?output=void&timeout=1", body: "x"}))
		if again && (state["state"] != "succeeded" || state["attempts"] != 2.0) || !again && state["state"] != "failed" {
			t.Errorf("with retry_timeouts %v a call that ran out of time once is %v", again, state)
		}
	}
}
