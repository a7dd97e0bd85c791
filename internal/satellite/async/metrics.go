package async

import "github.com/prometheus/client_golang/prometheus"

// Metrics count durable calls.
type Metrics struct {
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	finished *prometheus.CounterVec
	retries  *prometheus.CounterVec
}

// Reasons why a call is not accepted.
const (
	refusedFull        = "full"
	refusedUnavailable = "unavailable"
	refusedUnknown     = "unknown" // it may have been stored
)

// NewMetrics returns metrics that nothing is counted in yet.
func NewMetrics() *Metrics {
	m := &Metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_queue_accepted_total", Help: "Durable calls that this engine acknowledged, by algorithm.",
		}, []string{"algorithm"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_queue_refused_total", Help: "Durable calls that this engine did not acknowledge: the queue was full or unavailable, or it is unknown whether it stored them.",
		}, []string{"reason"}),
		finished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_queue_finished_total", Help: "Durable calls that ended by this engine, by algorithm and outcome: succeeded, failed, dead, cancelled.",
		}, []string{"algorithm", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_queue_retries_total", Help: "Runs of durable calls that failed and are tried again, by algorithm.",
		}, []string{"algorithm"}),
	}
	for _, reason := range []string{refusedFull, refusedUnavailable, refusedUnknown} {
		m.refused.WithLabelValues(reason)
	}
	return m
}

// accept counts a call that was accepted. Its other counts are there from then on.
func (m *Metrics) accept(vanityURL string) {
	m.accepted.WithLabelValues(vanityURL).Inc()
	m.retries.WithLabelValues(vanityURL)
}

// Collectors returns what is to be registered.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.accepted, m.refused, m.finished, m.retries}
}
