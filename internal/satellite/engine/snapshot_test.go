package engine

import (
	"testing"
	"time"
)

func TestSnapshot(t *testing.T) {
	s := newStrict(t, func(c lsCall) (int, string) {
		if string(c.body) == "fail" {
			return 200, `{"error":{"message":"no","error_type":"AlgorithmError"},"metadata":{}}`
		}
		return 200, `{"result":"done"}`
	})
	r := lsRoute("foo/bar", s.addr)
	r.Replicas = 3
	e := startEngine(t, r)
	for _, body := range []string{"ok", "ok", "fail"} {
		e.do(request{body: body})
	}
	eventually(t, "the calls are counted", func() bool { return e.Snapshot().Algorithms[0].Calls == 3 })
	got := e.Snapshot()
	a := got.Algorithms[0]
	if got.Engines != 1 || a.VanityURL != "foo/bar" || a.Algorithm != r.Algorithm || a.Ready != 1 || a.Desired != 3 || a.InFlight != 0 || a.Queued != 0 {
		t.Errorf("snapshot = %+v", got)
	}
	if a.Errors["algorithm_error"] != 1 || a.Failed() != 1 {
		t.Errorf("errors = %v, want one algorithm_error", a.Errors)
	}
	if p := a.Latency.Quantile(0.99); a.Latency.Count() != 3 || p <= 0 || p > 10*time.Second {
		t.Errorf("%d latencies, p99 %v, want 3 and a real one", a.Latency.Count(), p)
	}
}
