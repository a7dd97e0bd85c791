package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// batchState is what is told of a batch.
type batchState struct {
	ID     string `json:"batch_id"`
	State  string `json:"state"`
	Total  int    `json:"total"`
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
}

func (e *testEngine) batch(r request) (s batchState) {
	e.t.Helper()
	got := e.do(r)
	if got.status != 200 {
		e.t.Fatalf("%s %s = %d %s", r.method, r.path, got.status, got.body)
	}
	if err := json.Unmarshal([]byte(got.body), &s); err != nil {
		e.t.Fatalf("%s: %v", got.body, err)
	}
	return s
}

func (e *testEngine) completed(id, auth string) (s batchState) {
	e.t.Helper()
	eventually(e.t, "the batch is completed", func() bool {
		s = e.batch(request{method: http.MethodGet, path: "/v1/batch/" + id, auth: auth})
		return s.State == "completed"
	})
	return s
}

func TestBatchRunsThroughReplicas(t *testing.T) {
	raise := func(c lsCall) (int, string) {
		if string(c.body) == "13" {
			return 200, `{"error":{"message":"unlucky","error_type":"AlgorithmError"},"metadata":{"duration":0.5}}`
		}
		return 200, fmt.Sprintf(`{"result":%s,"metadata":{"content_type":"json","duration":0.25}}`, c.body)
	}
	a, b := newStrict(t, raise), newStrict(t, raise)
	e := startDurable(t, Options{}, lsRoute("foo/bar", a.addr, b.addr))
	const n = 300
	var lines strings.Builder
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&lines, "{\"custom_id\":\"id-%d\",\"body\":%d}\n", i, i)
	}
	s := e.batch(request{path: "/v1/batch/foo/bar", contentType: "application/jsonl", body: lines.String()})
	if s.Total != n {
		t.Fatalf("the upload is answered with %+v, want a total of %d", s, n)
	}
	if s = e.completed(s.ID, ""); s.Done != n-1 || s.Failed != 1 {
		t.Errorf("the batch ends as %+v, want one of %d failed", s, n)
	}
	var want strings.Builder
	failed := `{"custom_id":"id-13","line":13,"error":{"message":"unlucky","error_type":"AlgorithmError"},"metadata":{"duration":0.5}}` + "\n"
	for i := 1; i <= n; i++ {
		if i == 13 {
			want.WriteString(failed)
			continue
		}
		fmt.Fprintf(&want, `{"custom_id":"id-%d","line":%d,"result":%d,"metadata":{"content_type":"json","duration":0.25}}`+"\n", i, i, i)
	}
	if got := e.do(request{method: http.MethodGet, path: "/v1/batch/" + s.ID + "/results"}); got.body != want.String() {
		t.Errorf("the results are %.2000s", got.body)
	}
	if got := e.do(request{method: http.MethodGet, path: "/v1/batch/" + s.ID + "/errors"}); got.body != failed {
		t.Errorf("the errors are %s", got.body)
	}
	if a.count(&a.calls) == 0 || b.count(&b.calls) == 0 || a.count(&a.calls)+b.count(&b.calls) != n {
		t.Errorf("the replicas had %d and %d calls, want %d together", a.count(&a.calls), b.count(&b.calls), n)
	}
}

func TestWhoMayBatch(t *testing.T) {
	s := newStrict(t, nil)
	e := startDurable(t, Options{}, lsRoute("foo/bar", s.addr), lsRoute("foo/other", s.addr))
	e.writeKeys(
		config.Key{ID: "k1", Name: "test", SHA256: config.HashKey(testKey)},
		config.Key{ID: "k2", Name: "other", SHA256: config.HashKey("other"), Algorithms: []string{"foo/other"}},
		config.Key{ID: "k3", Name: "slow", SHA256: config.HashKey("slow"), Rate: constellation.KeyRate{PerSecond: 100, Burst: 2}},
	)
	eventually(t, "the keys are in force", func() bool {
		return e.do(request{method: http.MethodGet, path: "/v1/batch/nothing", auth: "slow"}).status == 404
	})
	mine := e.batch(request{path: "/v1/batch/foo/bar", body: "1\n2\n"})
	e.completed(mine.ID, "")
	for _, c := range []struct {
		r    request
		want int
	}{
		{request{path: "/v1/batch/foo/bar", auth: "wrong"}, 401},
		{request{path: "/v1/batch/foo/bar", auth: "other"}, 403},
		{request{path: "/v1/batch/foo/none"}, 404},
		{request{method: http.MethodGet, path: "/v1/batch/" + mine.ID, auth: "other"}, 404},
		{request{method: http.MethodGet, path: "/v1/batch/" + mine.ID + "/results", auth: "other"}, 404},
		{request{method: http.MethodDelete, path: "/v1/batch/" + mine.ID, auth: "other"}, 404},
		{request{method: http.MethodDelete, path: "/v1/batch/" + mine.ID}, 409},
	} {
		if got := e.do(c.r); got.status != c.want {
			t.Errorf("%+v = %d %s, want %d", c.r, got.status, got.body, c.want)
		}
	}
	// Lines count as calls, and wait for what the key's rate allows.
	slow := e.batch(request{path: "/v1/batch/foo/bar", auth: "slow", body: strings.Repeat("1\n", 20)})
	if s := e.completed(slow.ID, ""); s.Done != 20 {
		t.Errorf("the batch of a key with a rate ends as %+v, want 20 done", s)
	}
}

func TestBatchWithoutQueue(t *testing.T) {
	e := startEngine(t, lsRoute("foo/bar", newStrict(t, nil).addr))
	if got := e.do(request{path: "/v1/batch/foo/bar", body: "1\n"}); got.status != 404 || !strings.Contains(got.body, "no queue") {
		t.Errorf("a batch without a queue = %d %s", got.status, got.body)
	}
}
