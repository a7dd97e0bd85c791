package stats

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWithin(t *testing.T) {
	var r Recorder
	for _, d := range []time.Duration{0, time.Microsecond, 900 * time.Microsecond, 2 * time.Millisecond, 3 * time.Second, 2 * time.Hour} {
		r.Record(d)
	}
	if diff := cmp.Diff([]int64{2, 1, 1, 0, 2}, r.Histogram().Within([]float64{.0005, .001, .0025, .1})); diff != "" {
		t.Errorf("Within (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int64{0, 0}, Histogram{}.Within([]float64{1})); diff != "" {
		t.Errorf("Within of nothing (-want +got):\n%s", diff)
	}
}
