package ratelimit

import (
	"github.com/prometheus/client_golang/prometheus"
)

type counter = prometheus.Counter

// metrics are a Limiter's numbers.
type metrics struct {
	limiter  *Limiter
	requests *prometheus.CounterVec
	claims   *prometheus.CounterVec
}

func newMetrics(l *Limiter) *metrics {
	m := &metrics{
		limiter: l,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_rate_limit_requests_total", Help: "Requests that a rate limit counted, by the limit and whether they were admitted.",
		}, []string{"limit", "outcome"}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_rate_limit_claims_total", Help: "Statements by which this server claimed parts of rate limits in the database, by how they ended.",
		}, []string{"outcome"}),
	}
	for _, outcome := range []string{"done", "failed"} { // a rate needs the zero before the first
		m.claims.WithLabelValues(outcome)
	}
	return m
}

// outcomes returns what counts the requests of a limit.
func (m *metrics) outcomes(name Name) (admitted, refused counter) {
	return m.requests.WithLabelValues(string(name), "admitted"), m.requests.WithLabelValues(string(name), "refused")
}

func (m *metrics) claim(err error) {
	if err != nil {
		m.claims.WithLabelValues("failed").Inc()
		return
	}
	m.claims.WithLabelValues("done").Inc()
}

// Collectors are the metrics of rate limits.
func (l *Limiter) Collectors() []prometheus.Collector {
	return []prometheus.Collector{l.metrics.requests, l.metrics.claims,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "constellation_rate_limits_shared", Help: "1 while this server shares rate limits with the others; 0 while it keeps to them by itself, since the database does not answer.",
		}, func() float64 {
			if l.db == nil || l.alone.Load() != 0 {
				return 0
			}
			return 1
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "constellation_rate_limit_subjects", Help: "Keys, sessions and addresses that this server counts requests of, 32768 at most.",
		}, func() float64 { return float64(l.subjects()) }),
	}
}

// subjects returns how many who ask are known.
func (l *Limiter) subjects() (n int) {
	for i := range l.shards {
		s := &l.shards[i]
		s.mu.Lock()
		n += len(s.of)
		s.mu.Unlock()
	}
	return n
}
