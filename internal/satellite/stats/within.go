package stats

// Within counts what was counted within bounds, which are in seconds and
// ascending: out[i] were at most bounds[i] and more than the bound before, the
// last one more than all. A bucket that a bound divides counts by its middle.
func (h Histogram) Within(limits []float64) []int64 {
	out := make([]int64, len(limits)+1)
	at := 0
	for i, n := range h.counts {
		if n == 0 {
			continue
		}
		low, high := bounds(i)
		middle := (low + high).Seconds() / 2
		for at < len(limits) && middle > limits[at] {
			at++
		}
		out[at] += int64(n)
	}
	return out
}
