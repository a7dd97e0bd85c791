package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// Source is asked for gauges when metrics are scraped, so that calls pay nothing
// for them.
type Source interface {
	// Gauges returns the gauges now, nil when there are none yet.
	Gauges() *Gauges
}

// Gauges are an engine's state at one moment.
type Gauges struct {
	Satellite, Launch, Version string
	ExpiresAt                  time.Time // zero is never
	LinkedEngines              int
	Draining                   bool
	Pools                      map[string]pool.State     // by vanity URL
	Wanted                     map[string]stats.Scale    // replicas, by vanity URL
	Budgets                    map[string]*memory.Budget // of large bodies, by what they are of
}

// gaugeCollector reads the gauges when it is scraped.
type gaugeCollector struct{ source Source }

var (
	inFlightDesc = prometheus.NewDesc("constellation_engine_calls_in_flight", "Calls that run on a replica now.", []string{"algorithm"}, nil)
	queuedDesc   = prometheus.NewDesc("constellation_engine_calls_queued", "Calls that wait for a replica now.", []string{"algorithm"}, nil)
	readyDesc    = prometheus.NewDesc("constellation_engine_replicas_ready", "Replicas that can be called now.", []string{"algorithm"}, nil)
	statesDesc   = prometheus.NewDesc("constellation_engine_replicas", "Replicas by state: ready, starting (ready, and with fewer calls at once as yet), aside (refused a connection a moment ago), withheld (is being ended after a time-out).", []string{"algorithm", "state"}, nil)
	desiredDesc  = prometheus.NewDesc("constellation_engine_replicas_desired", "Replicas that there are to be: what the load asks for where they follow it, else what the satellite has.", []string{"algorithm"}, nil)
	heldBackDesc = prometheus.NewDesc("constellation_engine_scaling_held_back", "1 when replicas do not come that the load asks for, for a reason that /v1/status and the log have.", []string{"algorithm"}, nil)
	durableDesc  = prometheus.NewDesc("constellation_engine_durable_calls_in_flight", "Durable calls among those that run on a replica now.", []string{"algorithm"}, nil)
	grantsDesc   = prometheus.NewDesc("constellation_engine_grants", "1 when this engine hands out the algorithm's slots, 0 when another one does.", []string{"algorithm"}, nil)
	enginesDesc  = prometheus.NewDesc("constellation_engine_linked_engines", "Other engines of the satellite that this one is linked to.", nil, nil)
	drainDesc    = prometheus.NewDesc("constellation_engine_draining", "1 when this engine is about to stop.", nil, nil)
	expiryDesc   = prometheus.NewDesc("constellation_satellite_expiry_timestamp_seconds", "When the satellite expires, in Unix time.", nil, nil)
	infoDesc     = prometheus.NewDesc("constellation_satellite_info", "Which satellite version this is.", []string{"satellite", "launch", "version"}, nil)
	budgetDesc   = prometheus.NewDesc("constellation_engine_room_bytes", "Memory that large requests, or replies, may have in all.", []string{"of"}, nil)
	usedDesc     = prometheus.NewDesc("constellation_engine_room_used_bytes", "Memory that large requests, or replies, have now.", []string{"of"}, nil)
	refusedDesc  = prometheus.NewDesc("constellation_engine_room_refused_total", "Large requests, or replies, that found no memory: their key's share or all of it was in use.", []string{"of"}, nil)
)

// Describe sends what Collect collects.
func (c *gaugeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		inFlightDesc, durableDesc, queuedDesc, readyDesc, desiredDesc, heldBackDesc, statesDesc, grantsDesc, enginesDesc, drainDesc, expiryDesc, infoDesc,
		budgetDesc, usedDesc, refusedDesc,
	} {
		ch <- d
	}
}

// Collect sends the gauges.
func (c *gaugeCollector) Collect(ch chan<- prometheus.Metric) {
	g := c.source.Gauges()
	if g == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(infoDesc, 1, g.Satellite, g.Launch, g.Version)
	if !g.ExpiresAt.IsZero() {
		gauge(expiryDesc, timestamp(g.ExpiresAt))
	}
	gauge(enginesDesc, float64(g.LinkedEngines))
	gauge(drainDesc, oneIf(g.Draining))
	for vanityURL, s := range g.Pools {
		for state, n := range map[string]int{"ready": s.Ready - s.Starting, "starting": s.Starting, "aside": s.Ejected, "withheld": s.Quarantined} {
			gauge(statesDesc, float64(n), vanityURL, state)
		}
		gauge(grantsDesc, oneIf(s.OwnsSlots), vanityURL)
		gauge(inFlightDesc, float64(s.InFlight), vanityURL)
		gauge(queuedDesc, float64(s.Queued), vanityURL)
		gauge(readyDesc, float64(s.Ready), vanityURL)
		gauge(durableDesc, float64(s.DurableInFlight), vanityURL)
	}
	for vanityURL, s := range g.Wanted {
		gauge(desiredDesc, float64(s.Desired), vanityURL)
		gauge(heldBackDesc, oneIf(s.Reason != ""), vanityURL)
	}
	for of, budget := range g.Budgets {
		used, refused := budget.State()
		gauge(budgetDesc, float64(budget.Size()), of)
		gauge(usedDesc, float64(used), of)
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(refused), of)
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
