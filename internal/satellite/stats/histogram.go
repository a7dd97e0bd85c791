package stats

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"strconv"
	"sync/atomic"
	"time"
)

// A histogram's buckets: eight to each power of two of microseconds, so that a
// quantile is at most a sixteenth away, from 16 µs to a little over an hour.
const (
	subBits   = 3
	subCount  = 1 << subBits
	firstBits = 4
	lastBits  = 32
	buckets   = (lastBits-firstBits)*subCount + 1
)

// Histogram counts durations. The zero value is empty.
type Histogram struct{ counts []uint64 }

// Recorder is a histogram that calls count into, from any goroutine.
type Recorder struct{ counts [buckets]atomic.Uint64 }

// Record counts d.
func (r *Recorder) Record(d time.Duration) { r.counts[bucketOf(d)].Add(1) }

// Histogram returns what was counted so far.
func (r *Recorder) Histogram() Histogram {
	h := Histogram{counts: make([]uint64, buckets)}
	for i := range r.counts {
		h.counts[i] = r.counts[i].Load()
	}
	return h
}

func bucketOf(d time.Duration) int {
	us := uint64(max(0, d.Microseconds()))
	if us < 1<<firstBits {
		return 0
	}
	power := bits.Len64(us) - 1
	if power >= lastBits {
		return buckets - 1
	}
	sub := us >> (power - subBits) & (subCount - 1)
	return 1 + (power-firstBits)*subCount + int(sub)
}

// bounds are a bucket's lowest duration and the next one's.
func bounds(i int) (low, high time.Duration) {
	if i == 0 {
		return 0, 1 << firstBits * time.Microsecond
	}
	power, sub := (i-1)/subCount+firstBits, (i-1)%subCount
	width := uint64(1) << (power - subBits)
	from := uint64(1)<<power + uint64(sub)*width
	return time.Duration(from) * time.Microsecond, time.Duration(from+width) * time.Microsecond
}

// Count is how many durations were counted.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.counts {
		n += c
	}
	return n
}

// Quantile returns the duration that the part q (0 to 1) of all is below; zero
// when nothing was counted.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Count()
	if total == 0 {
		return 0
	}
	rank := q * float64(total)
	var below float64
	for i, c := range h.counts {
		if c == 0 {
			continue
		}
		if below+float64(c) >= rank {
			low, high := bounds(i)
			return low + time.Duration(float64(high-low)*max(0, rank-below)/float64(c))
		}
		below += float64(c)
	}
	low, _ := bounds(buckets - 1)
	return low
}

// Add returns both histograms together.
func (h Histogram) Add(other Histogram) Histogram {
	out := Histogram{counts: make([]uint64, buckets)}
	copy(out.counts, h.counts)
	for i, c := range other.counts {
		out.counts[i] += c
	}
	return out
}

// Since returns what h counted after before.
func (h Histogram) Since(before Histogram) Histogram {
	out := Histogram{counts: make([]uint64, buckets)}
	copy(out.counts, h.counts)
	for i, c := range before.counts {
		if c <= out.counts[i] {
			out.counts[i] -= c
		}
	}
	return out
}

// MarshalJSON writes the buckets that are not empty, by number.
func (h Histogram) MarshalJSON() ([]byte, error) {
	filled := map[string]uint64{}
	for i, c := range h.counts {
		if c > 0 {
			filled[strconv.Itoa(i)] = c
		}
	}
	return json.Marshal(filled)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(data []byte) error {
	var filled map[string]uint64
	if err := json.Unmarshal(data, &filled); err != nil {
		return fmt.Errorf("read a histogram: %w", err)
	}
	h.counts = make([]uint64, buckets)
	for name, c := range filled {
		i, err := strconv.Atoi(name)
		if err != nil || i < 0 || i >= buckets {
			return fmt.Errorf("read a histogram: there is no bucket %q", name)
		}
		h.counts[i] = c
	}
	return nil
}
