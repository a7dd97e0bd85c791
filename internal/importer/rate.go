package importer

import "time"

// rateOver is over how long a rate is measured.
const rateOver = 10 * time.Second

// rate is how many bytes come in a second, of late. The zero value is nothing.
type rate struct {
	since time.Time // when the bytes began to be counted
	bytes int64
	last  float64 // before that
}

// add counts bytes that came.
func (r *rate) add(now time.Time, n int64) {
	if r.since.IsZero() {
		r.since = now
	}
	r.bytes += n
	if age := now.Sub(r.since); age > rateOver {
		r.last = float64(r.bytes) / age.Seconds()
		r.since, r.bytes = now, 0
	}
}

// at returns the rate: of the time that is counted, and as much of the time before it
// as that is short.
func (r *rate) at(now time.Time) int64 {
	age := now.Sub(r.since).Seconds()
	if r.since.IsZero() || age <= 0 {
		return int64(r.last)
	}
	current := float64(r.bytes) / age
	if r.last == 0 {
		return int64(current)
	}
	share := min(1, age/rateOver.Seconds())
	return int64(share*current + (1-share)*r.last)
}
