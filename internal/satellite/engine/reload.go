package engine

import (
	"cmp"
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/reload"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// load applies a file if it changed.
func (e *Engine) load(f *reload.File) error {
	applied, err := f.Load()
	switch {
	case err != nil:
		e.metrics.Reloaded(f.Name(), false)
	case applied:
		e.metrics.Reloaded(f.Name(), true)
		e.log.Info("configuration taken", "file", f.Name(), "sha256", f.Digest())
	}
	return err
}

// poll looks at the files, closes idle connections, flushes the access
// log and warns of the satellite's expiry, until ctx ends.
func (e *Engine) poll(ctx context.Context) {
	reloading := time.NewTicker(e.opts.ReloadEvery)
	defer reloading.Stop()
	tidy := time.NewTicker(upstream.IdleFor / 2)
	defer tidy.Stop()
	for {
		e.warnExpiry()
		e.acknowledge()
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			e.closeIdle(time.Now().Add(-upstream.IdleFor))
			e.access.Flush()
		case <-reloading.C:
			e.probe.Read() // before the files
			for _, f := range []*reload.File{e.keysFile, e.routesFile} {
				if err := e.load(f); err != nil {
					e.log.Error("the new configuration is refused; the old one stays in use", "file", f.Name(), "error", err)
				}
			}
		}
	}
}

// emptyTimeout is how long an acknowledgement waits for the first replica of each
// algorithm. The installer asks again after twice as long.
const emptyTimeout = 2 * time.Second

// acknowledge logs once for each of the installer's questions which configuration
// is in use.
func (e *Engine) acknowledge() {
	question, age, ok := e.probe.Pending()
	if !ok {
		return
	}
	empty := e.table.Load().Empty()
	if empty > 0 && age < emptyTimeout {
		return // a ready pod is known a moment later than its Deployment is
	}
	e.probe.Acknowledge()
	args := []any{"asked", question, "routes", e.routesFile.Digest(), "keys", e.keysFile.Digest()}
	if problem := cmp.Or(e.routesFile.Problem(), e.keysFile.Problem()); problem != "" {
		args = append(args, "refused", problem)
	}
	if empty > 0 {
		args = append(args, "empty", empty)
	}
	e.log.Info(config.AcknowledgementMessage, args...)
}

func (e *Engine) applyKeys(content []byte) error {
	keys, err := config.ParseKeys(content)
	if err != nil {
		return err
	}
	e.leaveOut(config.KeysFile, keys.Refused)
	if !e.keys.SetFile(keys) {
		e.log.Warn("keys.json is older than what this satellite was told since, which stays in force",
			"version", keys.Version, "in_force", e.keys.InForce().Version)
	}
	e.applyExpiry()
	return nil
}

// leaveOut reports which parts of a file are not used; the rest of it is.
func (e *Engine) leaveOut(file string, parts []config.Refused) {
	for _, part := range parts {
		e.log.Error("a part of the configuration is refused; the others are in use", "file", file, "part", part.Name, "error", part.Reason)
	}
	e.metrics.SetLeftOut(file, len(parts))
}

// applyRoutes publishes a new table. An algorithm that stays keeps its pool,
// with the calls in flight and in its queue.
func (e *Engine) applyRoutes(content []byte) error {
	routes, err := config.ParseRoutes(content)
	if err != nil {
		return err
	}
	service := routes.FirstService()
	if service != "" && e.watcher == nil {
		return noCluster(service)
	}
	e.leaveOut(config.RoutesFile, routes.Refused)
	e.applying.Lock()
	defer e.applying.Unlock()
	next := &routing.Table{Satellite: routes.Satellite, Launch: routes.Launch.ID, Mothership: routes.Mothership, Refused: routes.Refused, OwnKeyAny: routes.OwnKey == config.OwnKeyAny, Queue: routes.Queue, Callbacks: routes.Callbacks, NeedsCluster: service != ""}
	next.Satellite.ExpiresAt = e.keys.ExpiresAt(routes.Satellite.ExpiresAt)
	next.Warning = routing.NewExpiryWarning(next.Satellite.ExpiresAt)
	old := map[string]*routing.Route{}
	if t := e.table.Load(); t != nil {
		for _, r := range t.Routes {
			old[r.VanityURL] = r
		}
	}
	for _, a := range routes.Algorithms {
		r := routing.NewRoute(a)
		r.Reason = e.notReadyReason(a)
		before := old[a.VanityURL]
		if before != nil {
			r.Metrics = before.Metrics
		} else {
			r.Metrics = e.metrics.Algorithm(a.VanityURL)
		}
		if before != nil && before.Protocol == r.Protocol {
			delete(old, a.VanityURL)
			r.Pool = before.Pool
			r.Pool.SetLimits(limits(r, routes.Queue))
		} else {
			r.Pool = e.newPool(r, limits(r, routes.Queue))
		}
		var hosts []string
		if e.watcher != nil {
			hosts = e.watcher.Ready(r.Service)
		}
		r.Pool.SetReplicas(r.Addresses(hosts))
		next.Routes = append(next.Routes, r)
	}
	next.Index()
	e.identities.Apply(routes.Auth)
	e.table.Store(next)
	e.mesh.AssignOwners()
	for vanity, r := range old {
		r.Pool.Close()
		if next.ByVanityURL[vanity] == nil {
			e.metrics.Remove(vanity)
		}
	}
	return nil
}
