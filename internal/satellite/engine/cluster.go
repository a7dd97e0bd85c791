package engine

import (
	"errors"
	"strconv"

	"k8s.io/client-go/rest"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/probe"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// watchCluster makes the watcher, when routes or flags ask for a cluster.
func (e *Engine) watchCluster(routes *config.Routes) error {
	service := routes.FirstService()
	cluster, err := discovery.FindCluster(e.opts.Kubeconfig, e.opts.Namespace)
	switch {
	case err == nil:
		e.watcher = discovery.NewWatcher(cluster, e.log)
		return nil
	case service == "" && e.opts.Kubeconfig == "":
		return nil // nothing to look up: a cluster is not needed
	case errors.Is(err, rest.ErrNotInCluster):
		return noCluster(service)
	}
	return err
}

func noCluster(service string) error {
	return constellation.Errorf(constellation.KindInvalid,
		"routes.json names the service %s and there is no cluster to look it up in: run in a pod, give --kubeconfig, or list endpoints", service)
}

// refresh makes a service's endpoints the replicas of its algorithms.
func (e *Engine) refresh(service string) {
	e.applying.Lock()
	defer e.applying.Unlock()
	for _, r := range e.table.Load().Routes {
		if r.Service == service && len(r.Endpoints) == 0 {
			r.Pool.SetReplicas(r.Addresses(e.watcher.Ready(service)))
		}
	}
}

// notReadyReason returns a function that returns why none of an algorithm's
// replicas is ready; nil when they are not the cluster's.
func (e *Engine) notReadyReason(r config.Route) func() string {
	if e.watcher == nil || len(r.Endpoints) > 0 {
		return nil
	}
	var reason probe.Reason
	replicas := func() []string { return routing.WithPort(e.watcher.Alive(r.Service), strconv.Itoa(r.Port)) }
	return func() string {
		if state := e.scaler.State(r.VanityURL); state != nil && state.Reason != "" {
			return state.Reason
		}
		return reason.Text(e.background, replicas)
	}
}

// limits returns a route's limits as its pool takes them.
func limits(r *routing.Route, queue *config.QueueSettings) pool.Limits {
	l := pool.Limits{Concurrency: r.Concurrency, QueueLimit: r.Queue.Limit, WaitForReplicas: followsLoad(r)}
	if queue != nil {
		l.SharePercent = queue.SharePercent
	}
	return l
}

// newPool returns a route's pool.
func (e *Engine) newPool(r *routing.Route, l pool.Limits) *pool.Pool {
	var p *pool.Pool
	o := pool.Options{
		Algorithm: r.VanityURL, Limits: l,
		Connect: func(addr string) pool.Connections { return call.NewReplica(addr) },
		Starved: func() { e.scaler.Wake(r.VanityURL) },
	}
	if r.IsLangserver() {
		o.Restart = func(rep *pool.Replica) {
			e.restarts.Go(func() {
				if probe.Restart(e.background, rep.Addr(), func() bool { return p.Quarantined(rep) }, e.log) {
					p.Readmit(rep)
				}
			})
		}
	}
	p = pool.New(o)
	return p
}
