package engine

import (
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/scale"
)

// newScaler returns what lets replicas follow their load.
func newScaler(e *Engine, cluster discovery.Cluster) (*scale.Scaler, error) {
	deployments, err := scale.NewCluster(cluster.Config, cluster.Namespace)
	if err != nil {
		return nil, err
	}
	return scale.New(scale.Options{Source: scaleSource{e}, Deployments: deployments, HoldsLease: e.decides, Backlog: e.durable, Log: e.log}), nil
}

// decides reports whether this engine does what one of the satellite's engines
// does for all. One that has no token has no others.
func (e *Engine) decides() bool {
	if lease := e.lease.Load(); lease != nil {
		return lease.Holds()
	}
	return !e.mesh.Shared()
}

// followsLoad reports whether a route's replicas follow its load.
func followsLoad(r *routing.Route) bool {
	return r.Scaled() && r.Deployment != "" && len(r.Endpoints) == 0
}

// scaleSource is the engine as its scaler sees it.
type scaleSource struct{ e *Engine }

// Targets returns the algorithms whose replicas follow their load.
func (s scaleSource) Targets() []scale.Target {
	var targets []scale.Target
	for _, r := range s.e.table.Load().Routes {
		if followsLoad(r) {
			least, most := r.Bounds()
			targets = append(targets, scale.Target{VanityURL: r.VanityURL, Deployment: r.Deployment, Min: least, Max: most, Concurrency: r.Concurrency})
		}
	}
	return targets
}

// Loads returns what they carry, over all engines.
func (s scaleSource) Loads() map[string]scale.Load {
	loads := map[string]scale.Load{}
	for _, r := range s.e.table.Load().Routes {
		if followsLoad(r) {
			state := r.Pool.State()
			loads[r.VanityURL] = scale.Load{
				Calls: state.InFlight + state.Queued + state.SeekingDurable, Ready: state.Ready,
				Waiting: max(state.Queued, state.QueueLength) + state.SeekingDurable,
			}
		}
	}
	for _, other := range s.e.snapshots() {
		for _, a := range other.Algorithms {
			if load, ok := loads[a.VanityURL]; ok {
				load.Calls += a.InFlight + a.Queued + a.Seeking
				if a.Scale != nil {
					load.Scaled = a.Scale
				}
				loads[a.VanityURL] = load
			}
		}
	}
	return loads
}
