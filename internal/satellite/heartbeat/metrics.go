package heartbeat

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics say whether a satellite is connected.
type metrics struct {
	beats   *prometheus.CounterVec
	last    prometheus.Gauge
	leading prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		beats: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_heartbeats_total", Help: "Heartbeats to the mothership, by whether it took them.",
		}, []string{"result"}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "constellation_heartbeat_last_success_timestamp_seconds", Help: "When the mothership last took a heartbeat of this engine, in Unix time; 0 is never.",
		}),
		leading: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "constellation_heartbeat_leader", Help: "1 on the engine that reports for all.",
		}),
	}
	if r != nil {
		r.MustRegister(m.beats, m.last, m.leading)
	}
	return m
}

func (m *metrics) beat(result string, at time.Time) {
	m.beats.WithLabelValues(result).Inc()
	if result == "ok" {
		m.last.Set(float64(at.UnixNano()) / float64(time.Second))
	}
}

func (m *metrics) lead(yes bool) {
	m.leading.Set(0)
	if yes {
		m.leading.Set(1)
	}
}
