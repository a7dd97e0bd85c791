package engine

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// reporting is what the heartbeat reads and changes. The engine knows nothing
// else of it.
type reporting struct {
	id      string // differs each time the engine starts
	started time.Time
}

func newReporting(now time.Time) reporting {
	id := make([]byte, 4)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	host, _ := os.Hostname()
	return reporting{id: cmp.Or(os.Getenv("POD_NAME"), host, "engine") + "/" + hex.EncodeToString(id), started: now.UTC()}
}

// Report returns what this engine runs, has in force and counted.
func (e *Engine) Report() heartbeat.Report {
	t := e.table.Load()
	r := heartbeat.Report{
		Satellite: t.Satellite, Launch: t.Launch, Mothership: t.Mothership,
		Algorithms: []apiv1.HeartbeatAlgorithm{},
		Counts:     apiv1.HeartbeatEngine{ID: e.report.id, StartedAt: e.report.started, Counts: []apiv1.HeartbeatCounts{}},
	}
	r.Access, r.KeysUsed = e.inForce(t), e.keys.TakeUsed()
	for _, a := range e.Snapshot().Algorithms {
		state := apiv1.HeartbeatAlgorithm{VanityURL: a.VanityURL, Wanted: a.Desired, Ready: a.Ready, Queued: a.Queued, InFlight: a.InFlight}
		if a.Scale != nil {
			state.Desired, state.MinReplicas, state.MaxReplicas = &a.Scale.Desired, &a.Scale.Min, a.Scale.Max
		}
		if route := t.ByVanityURL[a.VanityURL]; route != nil && a.Ready < a.Desired {
			state.Reason = boundedReason(route.Because())
		}
		r.Algorithms = append(r.Algorithms, state)
		if a.Calls == 0 {
			continue
		}
		counts := apiv1.HeartbeatCounts{VanityURL: a.VanityURL, Calls: int64(a.Calls), Errors: map[string]int64{}}
		for name, n := range a.Errors {
			counts.Errors[name] = int64(n)
		}
		counts.Latency = a.Latency.Within(apiv1.LatencyBounds)
		r.Counts.Counts = append(r.Counts.Counts, counts)
	}
	r.Algorithms = append(r.Algorithms, unserved(t)...)
	return r
}

// unserved are the algorithms whose routes are refused: there should be a
// replica of each, and none can be called.
func unserved(t *routing.Table) []apiv1.HeartbeatAlgorithm {
	var list []apiv1.HeartbeatAlgorithm
	for _, part := range t.Refused {
		var v constellation.Validation
		constellation.CheckVanityURL(&v, "vanity_url", part.Name)
		if t.ByVanityURL[part.Name] == nil && v.Err() == nil {
			list = append(list, apiv1.HeartbeatAlgorithm{VanityURL: part.Name, Wanted: 1, Reason: boundedReason("its route is refused: " + part.Reason)})
		}
	}
	return list
}

// boundedReason is a reason as a heartbeat takes it: at most 500 characters.
func boundedReason(because string) string {
	words := []rune(strings.TrimPrefix(because, ": "))
	return string(words[:min(len(words), 500)])
}

// Peers are the engines of this launch, this one among them, where they
// answer the one that reports.
func (e *Engine) Peers() []string {
	if e.watcher == nil || e.opts.MetricsListen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(e.opts.MetricsListen)
	if err != nil {
		return nil
	}
	addresses := routing.WithPort(e.watcher.Alive(e.opts.PeerService), port)
	slices.Sort(addresses)
	return addresses
}

// Lease is this engine's part in the agreement of who reports; nil without a
// cluster.
func (e *Engine) Lease() (*heartbeat.Lease, error) {
	if e.watcher == nil {
		return nil, nil //nolint:nilnil // no cluster is no error
	}
	cluster := e.watcher.Cluster()
	lease, err := heartbeat.NewLease(cluster.Config, cluster.Namespace, e.report.id)
	if err == nil {
		e.lease.Store(lease)
	}
	return lease, err
}

// Token is the launch's, "" when there is none: then nothing is reported.
func (e *Engine) Token() string {
	token, err := os.ReadFile(cmp.Or(e.opts.TokenFile, filepath.Join(e.opts.Dir, config.TokenFile)))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
}

// Registry is where the heartbeat's metrics go too.
func (e *Engine) Registry() prometheus.Registerer { return e.metrics.Registry() }

// Work is what the heartbeat asks of calls that outlive their callers.
func (e *Engine) Work() heartbeat.Work { return e.upkeep }
