package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestCallsFromBrowsers(t *testing.T) {
	methods := make(chan string, 1)
	seen := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		methods <- r.Method + " " + r.Header.Get("X-Model")
		w.Header().Set("Access-Control-Allow-Origin", "https://another.example")
	})
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr), httpRoute("foo/http", seen))
	const (
		calls    = "POST, OPTIONS"
		callsMay = "Authorization, Content-Type, Content-Encoding, X-Request-ID, Idempotency-Key, X-Callback-URL, Traceparent, Tracestate"
		all      = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
		allMay   = "Authorization, *"
	)
	for path, want := range map[string][2]string{
		"foo/bar":                {calls, callsMay},
		"foo/bar/below":          {calls, callsMay},
		"neo/hello":              {calls, callsMay}, // several have that name
		"foo/none":               {calls, callsMay},
		"foo/http":               {all, allMay},
		"foo/http/":              {all, allMay},
		"foo/http/v2/models%2fx": {all, allMay},
	} {
		origin := map[string]string{"Origin": "https://page.example", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,x-model"}
		got := e.do(request{method: "OPTIONS", path: "/v1/web/algo/" + path, auth: "-", contentType: "-", header: origin})
		got.header.Del("Date")
		wanted := http.Header{
			"Access-Control-Allow-Origin": {"*"}, "Access-Control-Allow-Methods": {want[0]}, "Access-Control-Allow-Headers": {want[1]}, "Access-Control-Max-Age": {"86400"},
		}
		if diff := cmp.Diff(wanted, got.header); diff != "" || got.status != 204 || got.body != "" {
			t.Errorf("preflight of %s = %d %q, want 204 with nothing; headers (-want +got):\n%s", path, got.status, got.body, diff)
		}
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
		got := e.do(request{method: method, path: "/v1/web/algo/foo/http/items/1", header: map[string]string{"X-Model": "small"}})
		if asked := waittest.Receive(t, "a call at the replica", methods); asked != method+" small" || got.status != 200 || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%s from a page = %d %v, and the replica was asked for %q; want it passed on, and to be read by the page", method, got.status, got.header, asked)
		}
	}
	for name, test := range map[string]struct {
		r    request
		want int
	}{
		"call":      {request{path: "/v1/web/algo/foo/bar", body: "Neo"}, 200},
		"no key":    {request{path: "/v1/web/algo/foo/bar", auth: "-"}, 401},
		"not found": {request{path: "/v1/web/algo/foo/none"}, 404},
	} {
		got := e.do(test.r)
		if got.status != test.want || got.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "X-Request-ID") {
			t.Errorf("%s = %d %v, want %d that a page may read", name, got.status, got.header, test.want)
		}
	}
	if got := e.do(request{body: "Neo"}); got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("the API for servers allows other origins")
	}
}

func TestStatus(t *testing.T) {
	e := startEngineWith(t, Options{}, config.Routes{
		Satellite: config.Satellite{ID: "s1", Name: "one", Version: 3}, Launch: config.Launch{ID: "l1"},
		Algorithms: []config.Route{lsRoute("foo/bar", newStrict(t, nil).addr)},
	})
	e.do(request{body: "Neo"})
	eventually(t, "the call is counted", func() bool { return e.Snapshot().Algorithms[0].Calls == 1 })
	for name, test := range map[string]struct {
		r    request
		want int
	}{
		"no key":       {request{method: "GET", path: "/v1/status", auth: "-"}, 401},
		"wrong key":    {request{method: "GET", path: "/v1/status", auth: "x"}, 401},
		"wrong method": {request{method: "POST", path: "/v1/status"}, 405},
	} {
		if got := e.do(test.r); got.status != test.want {
			t.Errorf("%s = %d, want %d", name, got.status, test.want)
		}
	}
	challenged := request{method: "GET", path: "/v1/status", auth: "-", header: map[string]string{config.ChallengeHeader: "abc"}}
	if got := e.do(challenged); got.status != 401 || got.header.Get(config.ProofHeader) != config.Proof("l1", "abc") || strings.Contains(got.body, "l1") {
		t.Errorf("a challenge without a key = %d %v %s; want the proof, and nothing told", got.status, got.header, got.body)
	}
	challenged.header[config.ChallengeHeader] = strings.Repeat("a", config.ChallengeLimit+1)
	if got := e.do(challenged); got.header.Get(config.ProofHeader) != "" {
		t.Error("a challenge that is too long is answered")
	}
	got := e.do(request{method: "GET", path: "/v1/status"})
	var s status
	if err := json.Unmarshal([]byte(got.body), &s); err != nil || got.status != 200 {
		t.Fatalf("status = %d %s, %v", got.status, got.body, err)
	}
	if s.Satellite.ID != "s1" || s.Satellite.Version != 3 || s.Launch.ID != "l1" || s.Engines != 1 || len(s.Algorithms) != 1 {
		t.Errorf("status = %+v", s)
	}
	if a := s.Algorithms[0]; a.VanityURL != "foo/bar" || a.Ready != 1 || a.Desired != 1 || a.Calls != 1 || a.Seconds.P99 <= 0 {
		t.Errorf("algorithm = %+v, want one ready replica, one call and its time", a)
	}
}

func TestInsights(t *testing.T) {
	var e *testEngine
	reports := make(chan response, 1)
	s := newStrict(t, func(lsCall) (int, string) {
		reports <- e.do(request{path: "/v1/insights", auth: "-", contentType: "application/json", body: `[{"insight_key":"faces","insight_value":3},{"insight_key":"who","insight_value":"Neo"}]`})
		return 200, `{"result":"done"}`
	})
	e = startEngine(t, lsRoute("foo/bar", s.addr))
	e.do(request{header: map[string]string{"X-Request-ID": "my-call"}})
	if report := waittest.Receive(t, "the answer to the insights", reports); report.status != 204 {
		t.Fatalf("insights = %d %s, want 204", report.status, report.body)
	}
	var event map[string]any
	eventually(t, "the event is logged", func() bool {
		for line := range strings.Lines(e.access.String()) {
			if strings.Contains(line, `"insight"`) {
				return json.Unmarshal([]byte(line), &event) == nil
			}
		}
		return false
	})
	insights, _ := event["insights"].(map[string]any)
	if event["algorithm_owner"] != "neo" || event["algorithm_name"] != "Hello" || event["algorithm_version"] != testHash || event["request_id"] != "my-call" ||
		event["session_id"] != "my-call" || event["duration_milliseconds"] == nil || insights["faces"] != "3" || insights["who"] != "Neo" {
		t.Errorf("event = %v", event)
	}
	many := "[" + strings.Repeat(`{"insight_key":"k","insight_value":1},`, 25) + `{"insight_key":"k","insight_value":1}]`
	for name, test := range map[string]struct {
		body string
		want int
	}{
		"26 of them": {many, 400}, "not JSON": {"x", 400}, "no key": {`[{"insight_value":1}]`, 400}, "no array": {`{}`, 400},
		"26 KB": {`[{"insight_key":"k","insight_value":"` + strings.Repeat("x", 26<<10) + `"}]`, 413},
	} {
		if got := e.do(request{path: "/v1/insights", auth: "-", body: test.body}); got.status != test.want {
			t.Errorf("%s = %d %s, want %d", name, got.status, got.body, test.want)
		}
	}
	none := startEngine(t)
	if got := none.do(request{path: "/v1/insights", auth: "-", body: "[]"}); got.status != 403 {
		t.Errorf("insights from nowhere = %d, want 403", got.status)
	}
}

func TestTraceContext(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	seen := make(chan http.Header, 1)
	addr := httpReplica(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		_, _ = fmt.Fprint(w, "ok")
	})
	e := startEngine(t, httpRoute("foo/bar", addr))
	for name, test := range map[string]struct{ parent, state, want string }{
		"passed on":   {parent, "vendor=1", parent},
		"none":        {"", "vendor=1", ""},
		"not a trace": {"00-xyz", "vendor=1", ""},
		"all zero":    {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", "", ""},
	} {
		header := map[string]string{}
		if test.parent != "" {
			header["Traceparent"] = test.parent
		}
		header["Tracestate"] = test.state
		e.do(request{header: header})
		got := waittest.Receive(t, "a call at the replica", seen)
		if got.Get("Traceparent") != test.want || test.want == "" && got.Get("Tracestate") != "" {
			t.Errorf("%s: the replica got %q %q, want %q", name, got.Get("Traceparent"), got.Get("Tracestate"), test.want)
		}
	}
	eventually(t, "the access log has the trace", func() bool {
		return strings.Contains(e.access.String(), `"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"`)
	})

	spans := make(chan *coltracepb.ExportTraceServiceRequest, 8)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := memory.ReadAll(r.Body, -1, 1<<20, nil)
		var export coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body.B, &export); err != nil {
			t.Errorf("the collector cannot read %q: %v", body.B, err)
		}
		spans <- &export
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(collector.Close)
	e = startEngineWith(t, Options{OTLP: collector.URL + "/v1/traces"}, config.Routes{Algorithms: []config.Route{httpRoute("foo/bar", addr)}})
	e.do(request{header: map[string]string{"Traceparent": parent, "Tracestate": "vendor=1"}})
	told := waittest.Receive(t, "a call at the replica", seen).Get("Traceparent")
	if told == parent || !strings.HasPrefix(told, parent[:36]) {
		t.Errorf("the replica got %q, want a new span of the trace %q", told, parent[:35])
	}
	select {
	case export := <-spans:
		span := export.ResourceSpans[0].ScopeSpans[0].Spans[0]
		if fmt.Sprintf("%x", span.TraceId) != parent[3:35] || fmt.Sprintf("%x", span.ParentSpanId) != parent[36:52] || fmt.Sprintf("%x", span.SpanId) != told[36:52] {
			t.Errorf("span = %v, want it below the caller's, and the replica's parent", span)
		}
	case <-time.After(2 * time.Minute):
		t.Error("no span came to the collector")
	}
}

func TestAccessLogSampling(t *testing.T) {
	e := startEngineWith(t, Options{AccessSample: 10}, config.Routes{Algorithms: []config.Route{lsRoute("foo/bar", newStrict(t, nil).addr)}})
	for range 30 {
		e.do(request{body: "Neo"})
	}
	for range 3 {
		e.do(request{auth: "wrong"})
	}
	eventually(t, "three calls that failed and three of thirty that did not are logged", func() bool {
		log := e.access.String()
		return strings.Count(log, `"outcome":"refused"`) == 3 && strings.Count(log, `"outcome":"ok"`) == 3 && strings.Count(log, `"one_in":10`) == 3
	})
}
