package stats

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestQuantilesAreCloseOverTheWholeRange(t *testing.T) {
	for _, unit := range []time.Duration{20 * time.Microsecond, time.Millisecond, 100 * time.Millisecond, 3 * time.Second} {
		var r Recorder
		for i := range 1000 {
			r.Record(time.Duration(i+1) * unit)
		}
		h := r.Histogram()
		for _, q := range []float64{0.5, 0.9, 0.99} {
			got, want := h.Quantile(q), time.Duration(q*1000)*unit
			if got < want*15/16 || got > want*17/16 {
				t.Errorf("Quantile(%v) of 1…1000 × %v = %v, want about %v", q, unit, got, want)
			}
		}
	}
}

func TestBucketsHaveNoGap(t *testing.T) {
	_, before := bounds(0)
	for i := 1; i < buckets-1; i++ {
		low, high := bounds(i)
		if low != before || bucketOf(low) != i || bucketOf(high-time.Microsecond) != i {
			t.Fatalf("bucket %d is %v to %v after %v, and holds them in %d and %d", i, low, high, before, bucketOf(low), bucketOf(high-time.Microsecond))
		}
		before = high
	}
	if got := bucketOf(100 * time.Hour); got != buckets-1 {
		t.Errorf("100 hours is in bucket %d, want the last, %d", got, buckets-1)
	}
}

func TestSnapshotsAddAndSubtract(t *testing.T) {
	at := func(calls, timeouts uint64, latencies ...time.Duration) Snapshot {
		var r Recorder
		for _, d := range latencies {
			r.Record(d)
		}
		return Snapshot{Engines: 1, Algorithms: []Algorithm{{
			VanityURL: "foo/bar", Ready: 2, Desired: 3, InFlight: 1, Calls: calls,
			Errors: map[string]uint64{"timeout": timeouts}, Latency: r.Histogram(),
		}}}
	}
	early, late := at(1, 1, time.Second), at(4, 3, time.Second, time.Millisecond)
	got := late.Since(early).Algorithms[0]
	if got.Calls != 3 || got.Errors["timeout"] != 2 || got.Latency.Count() != 1 || got.Latency.Quantile(1) > 2*time.Millisecond {
		t.Errorf("since = %+v, want 3 calls, 2 time-outs and the one latency of 1 ms", got)
	}
	if got := early.Since(late).Algorithms[0]; got.Calls != 1 || got.Failed() != 1 {
		t.Errorf("since, after a restart = %+v, want the counts from zero", got)
	}
	both := late.Add(early)
	if a := both.Algorithms[0]; both.Engines != 2 || a.Calls != 5 || a.InFlight != 2 || a.Ready != 2 || a.Errors["timeout"] != 4 || a.Latency.Count() != 3 {
		t.Errorf("add = %+v, want the calls of both and the replicas once", both)
	}
	data, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	var back Snapshot
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(both, back, cmp.AllowUnexported(Histogram{})); diff != "" {
		t.Errorf("JSON changes a snapshot (-want +got):\n%s", diff)
	}
}
