package notify

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// metrics counts what this server delivered, and asks the database what waits.
type metrics struct {
	db       *postgres.DB
	attempts *prometheus.CounterVec
}

func newMetrics(db *postgres.DB) *metrics {
	m := &metrics{db: db, attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "constellation_notifications_total", Help: "Attempts at messages to people by this server, by the destination's kind and how they ended: sent, again or failed.",
	}, []string{"kind", "outcome"})}
	for _, kind := range constellation.DestinationKinds { // a rate needs the zero before the first
		for _, outcome := range []string{"sent", "again", "failed"} {
			m.attempts.WithLabelValues(string(kind), outcome)
		}
	}
	return m
}

func (m *metrics) attempt(d *constellation.Destination, outcome string) {
	kind := "removed"
	if d != nil {
		kind = string(d.Kind)
	}
	m.attempts.WithLabelValues(kind, outcome).Inc()
}

// Collectors are the metrics of notifications.
func (s *Service) Collectors() []prometheus.Collector {
	return []prometheus.Collector{s.metrics.attempts, waiting{s.metrics.db}}
}

// waiting collects what waits.
type waiting struct{ db *postgres.DB }

var (
	pendingDesc = prometheus.NewDesc("constellation_notifications_pending", "Messages that were not taken yet.", nil, nil)
	oldestDesc  = prometheus.NewDesc("constellation_notifications_oldest_seconds", "How long the oldest message waits that was not taken yet; 0 is none.", nil, nil)
	waitingDesc = prometheus.NewDesc("constellation_notices_waiting", "Notices that are in no message yet, by rule, up to 100000.", nil, nil)
	failingDesc = prometheus.NewDesc("constellation_notification_destinations_failing", "Destinations that did not take the last message.", nil, nil)
)

// Describe is part of prometheus.Collector.
func (waiting) Describe(ch chan<- *prometheus.Desc) {
	ch <- pendingDesc
	ch <- oldestDesc
	ch <- waitingDesc
	ch <- failingDesc
}

// Collect is part of prometheus.Collector, whose calls have no context.
func (w waiting) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := w.db.DeliveryCounts(ctx)
	if err != nil {
		return
	}
	oldest := 0.0
	if counts.Oldest != nil {
		oldest = max(0, time.Since(*counts.Oldest).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(pendingDesc, prometheus.GaugeValue, float64(counts.Pending))
	ch <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, oldest)
	ch <- prometheus.MustNewConstMetric(waitingDesc, prometheus.GaugeValue, float64(counts.Waiting))
	ch <- prometheus.MustNewConstMetric(failingDesc, prometheus.GaugeValue, float64(counts.Failing))
}
