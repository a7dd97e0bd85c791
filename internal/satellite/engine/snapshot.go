package engine

import (
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// Snapshot tells what this engine counted since it started, and its pools'
// state now. It may be called at any time, from any goroutine.
func (e *Engine) Snapshot() stats.Snapshot {
	t := e.table.Load()
	s := stats.Snapshot{At: e.now(), Engines: 1, Algorithms: make([]stats.Algorithm, 0, len(t.routes))}
	for _, r := range t.routes {
		state := r.pool.state()
		a := stats.Algorithm{
			VanityURL: r.VanityURL, Algorithm: r.Algorithm,
			Ready: state.ready, Desired: r.desired(state), InFlight: state.inFlight, Queued: state.queued,
			Errors: map[string]uint64{}, Latency: r.metrics.latency.Histogram(),
		}
		for o := range outcomes {
			n := r.metrics.counts[o].Load()
			a.Calls += n
			if o != outcomeOK && n > 0 {
				a.Errors[o.String()] = n
			}
		}
		s.Algorithms = append(s.Algorithms, a)
	}
	return s
}

// desired is how many replicas the plan asks for; without a plan, as many as
// there are.
func (r *route) desired(s poolState) int {
	switch {
	case r.Replicas > 0:
		return r.Replicas
	case len(r.Endpoints) > 0:
		return len(r.Endpoints)
	}
	return s.known
}
