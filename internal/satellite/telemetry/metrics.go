package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// Metrics are an engine's metrics.
type Metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	wait     *prometheus.HistogramVec
	run      *prometheus.HistogramVec
	unrouted *prometheus.CounterVec
	insights *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	valid    *prometheus.GaugeVec
	leftOut  *prometheus.GaugeVec
}

// secondsBuckets go from half a millisecond to the longest time-out.
var secondsBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1000, 3000}

// NewMetrics returns metrics with the gauges of source and with what else is to be
// collected.
func NewMetrics(source Source, more ...prometheus.Collector) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_engine_calls_total", Help: "Calls by algorithm (vanity URL) and how they ended.",
		}, []string{"algorithm", "outcome"}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "constellation_engine_call_wait_seconds", Help: "Time calls waited for a replica.", Buckets: secondsBuckets,
		}, []string{"algorithm"}),
		run: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "constellation_engine_call_run_seconds", Help: "Time replicas took to answer.", Buckets: secondsBuckets,
		}, []string{"algorithm"}),
		unrouted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_engine_unrouted_total", Help: "Requests under /v1/algo/ that reached no algorithm, by status.",
		}, []string{"status"}),
		insights: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_engine_insights_total", Help: "Insights that algorithms reported.",
		}, []string{"algorithm"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "constellation_engine_config_reloads_total", Help: "Changes of routes.json and keys.json, by whether they were taken.",
		}, []string{"file", "result"}),
		valid: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "constellation_engine_config_valid", Help: "1 when the file as it is now is in use, 0 when an older one is.",
		}, []string{"file"}),
		leftOut: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "constellation_engine_config_refused_parts", Help: "Routes and keys of the file in use that break a rule and are left out.",
		}, []string{"file"}),
	}
	m.registry.MustRegister(m.calls, m.wait, m.run, m.unrouted, m.insights, m.reloads, m.valid, m.leftOut, &gaugeCollector{source},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.registry.MustRegister(more...)
	return m
}

// Registry returns where the metrics are registered.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Series are an algorithm's series, looked up once.
type Series struct {
	calls     [protocol.Outcomes]prometheus.Counter
	wait, run prometheus.Observer

	// The same counts, for Count.
	counts  [protocol.Outcomes]atomic.Uint64
	latency stats.Recorder
}

// Algorithm returns the series of an algorithm.
func (m *Metrics) Algorithm(vanityURL string) *Series {
	s := &Series{wait: m.wait.WithLabelValues(vanityURL), run: m.run.WithLabelValues(vanityURL)}
	for o := range protocol.Outcomes {
		s.calls[o] = m.calls.WithLabelValues(vanityURL, o.String())
	}
	return s
}

// Remove removes the series of an algorithm that was removed.
func (m *Metrics) Remove(vanityURL string) {
	m.wait.DeleteLabelValues(vanityURL)
	m.run.DeleteLabelValues(vanityURL)
	m.insights.DeleteLabelValues(vanityURL)
	for o := range protocol.Outcomes {
		m.calls.DeleteLabelValues(vanityURL, o.String())
	}
}

// Observe counts a call.
func (s *Series) Observe(c *Call) {
	s.calls[c.Outcome].Inc()
	s.counts[c.Outcome].Add(1)
	if c.Run > 0 {
		s.latency.Record(c.Wait + c.Run)
		s.wait.Observe(c.Wait.Seconds())
		s.run.Observe(c.Run.Seconds())
	}
}

// Count writes into a what was counted.
func (s *Series) Count(a *stats.Algorithm) {
	a.Errors, a.Latency = map[string]uint64{}, s.latency.Histogram()
	for o := range protocol.Outcomes {
		n := s.counts[o].Load()
		a.Calls += n
		if o != protocol.OutcomeOK && n > 0 {
			a.Errors[o.String()] = n
		}
	}
}

// ObserveUnrouted counts a call that reached no algorithm.
func (m *Metrics) ObserveUnrouted(status int) {
	label := "other"
	switch status {
	case 401:
		label = "401"
	case 403:
		label = "403"
	case 404:
		label = "404"
	case 405:
		label = "405"
	case 429:
		label = "429"
	case 503:
		label = "503"
	}
	m.unrouted.WithLabelValues(label).Inc()
}

// AddInsights counts insights that an algorithm reported.
func (m *Metrics) AddInsights(vanityURL string, n int) {
	m.insights.WithLabelValues(vanityURL).Add(float64(n))
}

// Reloaded counts a change of a file, and whether it was taken.
func (m *Metrics) Reloaded(file string, taken bool) {
	result, valid := "taken", 1.0
	if !taken {
		result, valid = "refused", 0
	}
	m.reloads.WithLabelValues(file, result).Inc()
	m.valid.WithLabelValues(file).Set(valid)
}

// SetLeftOut sets how many parts of a file are not in use.
func (m *Metrics) SetLeftOut(file string, n int) {
	m.leftOut.WithLabelValues(file).Set(float64(n))
}

// timestamp returns a moment in Unix time.
func timestamp(at time.Time) float64 { return float64(at.UnixNano()) / float64(time.Second) }
