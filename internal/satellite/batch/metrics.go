package batch

import "github.com/prometheus/client_golang/prometheus"

// NewLines returns the counter of lines that have ended, for Options.Lines.
func NewLines() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "constellation_batch_lines_total", Help: "Lines of batches that ended by this engine, by algorithm and outcome: done, failed.",
	}, []string{"algorithm", "outcome"})
}

// countLines counts what a chunk that was counted in its batch came to.
func (s *Service) countLines(c *pendingCount) {
	if s.opts.Lines == nil || !c.first {
		return
	}
	s.opts.Lines.WithLabelValues(c.chunk.VanityURL, "done").Add(float64(c.done))
	s.opts.Lines.WithLabelValues(c.chunk.VanityURL, "failed").Add(float64(c.failed))
}
