package engine

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
	"github.com/constellation-serving/constellation/internal/satellite/telemetry"
	"github.com/constellation-serving/constellation/internal/satellite/tlsserve"
)

// Snapshot returns what this engine counted since it started, and its pools'
// state now. It may be called at any time, from any goroutine.
func (e *Engine) Snapshot() stats.Snapshot {
	t := e.table.Load()
	s := stats.Snapshot{At: e.now(), Engines: 1, Algorithms: make([]stats.Algorithm, 0, len(t.Routes))}
	for _, r := range t.Routes {
		state := r.Pool.State()
		a := stats.Algorithm{
			VanityURL: r.VanityURL, Algorithm: r.Algorithm,
			Ready: state.Ready, Desired: r.Desired(state), InFlight: state.InFlight, Queued: state.Queued, Seeking: state.SeekingDurable,
		}
		if scaled := e.scaler.State(r.VanityURL); scaled != nil {
			a.Desired = scaled.Desired
			if e.scaler.IsLeader() {
				a.Scale = scaled
			}
		}
		r.Metrics.Count(&a)
		s.Algorithms = append(s.Algorithms, a)
	}
	return s
}

// newMetrics returns the engine's metrics.
func newMetrics(e *Engine) *telemetry.Metrics {
	more := append(e.durable.Collectors(), e.upkeep.Collector(), e.identities, e.tracer.Collector(), tlsserve.Collector(e.secure.Load), telemetry.NewPathCollector(&e.paths, func() (uint64, bool) { return e.server.Load().calls() }), prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "constellation_engine_own_key_refused_total", Help: "Calls with the satellite's own key from elsewhere than its algorithms' pods.",
	}, func() float64 { return float64(e.callers.Refused()) }))
	return telemetry.NewMetrics(gaugeSource{e}, more...)
}

// gaugeSource is the engine as its metrics see it.
type gaugeSource struct{ e *Engine }

// Gauges returns the state of the engine and of its pools.
func (s gaugeSource) Gauges() *telemetry.Gauges {
	t := s.e.table.Load()
	if t == nil {
		return nil
	}
	g := &telemetry.Gauges{
		Satellite: t.Satellite.ID, Launch: t.Launch, Version: t.SatelliteVersion(), ExpiresAt: t.Satellite.ExpiresAt,
		LinkedEngines: s.e.mesh.State().Links, Draining: s.e.draining.Load(),
		Pools:   make(map[string]pool.State, len(t.Routes)),
		Wanted:  make(map[string]stats.Scale, len(t.Routes)),
		Budgets: map[string]*memory.Budget{"requests": s.e.requests, "replies": s.e.replies},
	}
	for _, r := range t.Routes {
		state := r.Pool.State()
		g.Pools[r.VanityURL] = state
		g.Wanted[r.VanityURL] = stats.Scale{Desired: r.Desired(state)}
		if scaled := s.e.scaler.State(r.VanityURL); scaled != nil {
			g.Wanted[r.VanityURL] = *scaled
		}
	}
	return g
}
