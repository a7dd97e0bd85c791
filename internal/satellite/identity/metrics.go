package identity

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	fetched = prometheus.NewDesc("constellation_engine_jwks_fetched_timestamp_seconds", "When the issuer's keys were last fetched.", nil, nil)
	fetches = prometheus.NewDesc("constellation_engine_jwks_reads_total", "Attempts to read the issuer's keys, by whether they went well.", []string{"result"}, nil)
	tokens  = prometheus.NewDesc("constellation_engine_tokens_total", "Tokens that were verified, each once, by whether they were taken.", []string{"result"}, nil)
)

// Describe sends the descriptions of the metrics.
func (*Identities) Describe(to chan<- *prometheus.Desc) { to <- fetched; to <- fetches; to <- tokens }

// Collect sends the metrics, while tokens are taken.
func (i *Identities) Collect(to chan<- prometheus.Metric) {
	s := i.issuer.Load()
	if s == nil {
		return
	}
	if keys := s.keys.Load(); keys != nil && !keys.fetched.IsZero() {
		to <- prometheus.MustNewConstMetric(fetched, prometheus.GaugeValue, float64(keys.fetched.Unix()))
	}
	all, failed := s.fetches.Load(), s.failed.Load()
	for _, c := range []struct {
		of     *prometheus.Desc
		n      uint64
		result string
	}{
		{fetches, all - min(failed, all), "success"},
		{fetches, failed, "error"},
		{tokens, i.counts.verified.Load(), "success"},
		{tokens, i.counts.refused.Load(), "refused"},
	} {
		to <- prometheus.MustNewConstMetric(c.of, prometheus.CounterValue, float64(c.n), c.result)
	}
}
