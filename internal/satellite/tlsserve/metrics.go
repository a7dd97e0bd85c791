package tlsserve

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	expires = prometheus.NewDesc("constellation_engine_certificate_expires_timestamp_seconds", "When the certificate ends that callers see.", nil, nil)
	current = prometheus.NewDesc("constellation_engine_certificate_current", "1 when the certificate is that of the files as they are now, 0 when they are refused and an older one is in use.", nil, nil)
)

// Collector returns the metrics of what certificate returns at the time; of nil
// there are none.
func Collector(certificate func() *Server) prometheus.Collector { return collector(certificate) }

type collector func() *Server

// Describe sends the descriptions.
func (collector) Describe(to chan<- *prometheus.Desc) { to <- expires; to <- current }

// Collect sends the metrics.
func (c collector) Collect(to chan<- prometheus.Metric) {
	certificate := c()
	if certificate == nil {
		return
	}
	now := 0.0
	if certificate.Current() {
		now = 1
	}
	to <- prometheus.MustNewConstMetric(expires, prometheus.GaugeValue, float64(certificate.Expires().Unix()))
	to <- prometheus.MustNewConstMetric(current, prometheus.GaugeValue, now)
}
