package engine

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// metrics are the engine's, one series set per algorithm of the satellite:
// a caller cannot make new ones.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	wait     *prometheus.HistogramVec
	run      *prometheus.HistogramVec
	unrouted *prometheus.CounterVec
	insights *prometheus.CounterVec
	reloads  *prometheus.CounterVec
	valid    *prometheus.GaugeVec
}

// routeMetrics are an algorithm's series, looked up once.
type routeMetrics struct {
	calls     [outcomes]prometheus.Counter
	wait, run prometheus.Observer

	// The same counts, for Snapshot.
	counts  [outcomes]atomic.Uint64
	latency stats.Recorder
}

// secondsBuckets go from half a millisecond to the longest time-out.
var secondsBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1000, 3000}

func newMetrics(e *Engine) *metrics {
	m := &metrics{
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
	}
	m.registry.MustRegister(
		m.calls, m.wait, m.run, m.unrouted, m.insights, m.reloads, m.valid, &poolCollector{e},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// route gives the series of an algorithm.
func (m *metrics) route(vanity string) *routeMetrics {
	r := &routeMetrics{wait: m.wait.WithLabelValues(vanity), run: m.run.WithLabelValues(vanity)}
	for o := range outcomes {
		r.calls[o] = m.calls.WithLabelValues(vanity, o.String())
	}
	return r
}

// forget drops the series of a removed algorithm.
func (m *metrics) forget(vanity string) {
	m.wait.DeleteLabelValues(vanity)
	m.run.DeleteLabelValues(vanity)
	m.insights.DeleteLabelValues(vanity)
	for o := range outcomes {
		m.calls.DeleteLabelValues(vanity, o.String())
	}
}

func (m *metrics) finish(c *call) {
	if c.route == nil {
		status := "other"
		switch c.status {
		case 401:
			status = "401"
		case 404:
			status = "404"
		case 405:
			status = "405"
		}
		m.unrouted.WithLabelValues(status).Inc()
		return
	}
	r := c.route.metrics
	r.calls[c.outcome].Inc()
	r.counts[c.outcome].Add(1)
	if c.run > 0 {
		r.latency.Record(c.wait + c.run)
		r.wait.Observe(c.wait.Seconds())
		r.run.Observe(c.run.Seconds())
	}
}

func (m *metrics) reloaded(file string, ok bool) {
	result, valid := "taken", 1.0
	if !ok {
		result, valid = "refused", 0
	}
	m.reloads.WithLabelValues(file, result).Inc()
	m.valid.WithLabelValues(file).Set(valid)
}

// poolCollector reads the pools when it is scraped, so that calls pay nothing
// for these gauges.
type poolCollector struct{ e *Engine }

var (
	inFlightDesc = prometheus.NewDesc("constellation_engine_calls_in_flight", "Calls that run on a replica now.", []string{"algorithm"}, nil)
	queuedDesc   = prometheus.NewDesc("constellation_engine_calls_queued", "Calls that wait for a replica now.", []string{"algorithm"}, nil)
	readyDesc    = prometheus.NewDesc("constellation_engine_replicas_ready", "Replicas that can be called now.", []string{"algorithm"}, nil)
	statesDesc   = prometheus.NewDesc("constellation_engine_replicas", "Replicas by state: ready, starting (ready, and with fewer calls at once as yet), aside (refused a connection a moment ago), withheld (is being ended after a time-out).", []string{"algorithm", "state"}, nil)
	grantsDesc   = prometheus.NewDesc("constellation_engine_grants", "1 when this engine hands out the algorithm's slots, 0 when another one does.", []string{"algorithm"}, nil)
	enginesDesc  = prometheus.NewDesc("constellation_engine_linked_engines", "Other engines of the satellite that this one is linked to.", nil, nil)
	drainDesc    = prometheus.NewDesc("constellation_engine_draining", "1 when this engine is about to stop.", nil, nil)
	expiryDesc   = prometheus.NewDesc("constellation_satellite_expiry_timestamp_seconds", "When the satellite expires, in Unix time.", nil, nil)
	infoDesc     = prometheus.NewDesc("constellation_satellite_info", "Which satellite version this is.", []string{"satellite", "launch", "version"}, nil)
)

// Describe tells Prometheus what Collect gives.
func (c *poolCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{inFlightDesc, queuedDesc, readyDesc, statesDesc, grantsDesc, enginesDesc, drainDesc, expiryDesc, infoDesc} {
		ch <- d
	}
}

// Collect reads every pool's state.
func (c *poolCollector) Collect(ch chan<- prometheus.Metric) {
	t := c.e.table.Load()
	if t == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(infoDesc, 1, t.satellite.ID, t.launch, t.satelliteVersion())
	if at := t.satellite.ExpiresAt; !at.IsZero() {
		gauge(expiryDesc, float64(at.UnixNano())/float64(time.Second))
	}
	gauge(enginesDesc, float64(len(c.e.peers.all())))
	draining := 0.0
	if c.e.draining.Load() {
		draining = 1
	}
	gauge(drainDesc, draining)
	for _, r := range t.routes {
		s := r.pool.state()
		for state, n := range map[string]int{"ready": s.ready - s.starting, "starting": s.starting, "aside": s.aside, "withheld": s.withheld} {
			gauge(statesDesc, float64(n), r.VanityURL, state)
		}
		grants := 0.0
		if s.grants {
			grants = 1
		}
		gauge(grantsDesc, grants, r.VanityURL)
		gauge(inFlightDesc, float64(s.inFlight), r.VanityURL)
		gauge(queuedDesc, float64(s.queued), r.VanityURL)
		gauge(readyDesc, float64(s.ready), r.VanityURL)
	}
}
