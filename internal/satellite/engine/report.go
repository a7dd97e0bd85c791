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
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
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

// Report tells what this engine runs, has in force and counted.
func (e *Engine) Report() heartbeat.Report {
	t := e.table.Load()
	r := heartbeat.Report{
		Satellite: t.satellite, Launch: t.launch, Mothership: t.mothership,
		Algorithms: []apiv1.HeartbeatAlgorithm{},
		Counts:     apiv1.HeartbeatEngine{ID: e.report.id, StartedAt: e.report.started, Counts: []apiv1.HeartbeatCounts{}},
	}
	r.Keys, r.KeysAt, r.KeysUsed = e.holder.report()
	for _, a := range e.Snapshot().Algorithms {
		state := apiv1.HeartbeatAlgorithm{VanityURL: a.VanityURL, Wanted: a.Desired, Ready: a.Ready, Queued: a.Queued, InFlight: a.InFlight}
		if route := t.vanity[a.VanityURL]; route != nil && a.Ready < a.Desired {
			state.Reason = inWords(route.because())
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
	return r
}

// inWords is a reason as a heartbeat takes it: at most 500 characters.
func inWords(because string) string {
	words := []rune(strings.TrimPrefix(because, ": "))
	return string(words[:min(len(words), 500)])
}

// TakeKeys puts keys in force besides the satellite's own, as the mothership
// said at a moment.
func (e *Engine) TakeKeys(keys []apiv1.HeartbeatKey, at time.Time) {
	if e.holder.takeLive(keys, at) {
		e.log.Info("keys taken from the mothership", "keys", len(keys))
	}
}

// TakeExpiry takes the satellite's expiry as the mothership has it now.
func (e *Engine) TakeExpiry(at time.Time) {
	e.applying.Lock()
	defer e.applying.Unlock()
	old := e.table.Load()
	if old.satellite.ExpiresAt.Equal(at) {
		return
	}
	next := *old
	next.satellite.ExpiresAt = at
	next.warning = newExpiryWarning(at)
	e.table.Store(&next)
	e.log.Info("the satellite's expiry changed", "expires_at", at)
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
	hosts := e.watcher.engines(e.opts.PeerService)
	addresses := make([]string, 0, len(hosts))
	for _, host := range hosts {
		addresses = append(addresses, net.JoinHostPort(host, port))
	}
	slices.Sort(addresses)
	return addresses
}

// Lease is this engine's part in the agreement of who reports; nil without a
// cluster.
func (e *Engine) Lease() (*heartbeat.Lease, error) {
	if e.watcher == nil {
		return nil, nil //nolint:nilnil // no cluster is no error
	}
	return heartbeat.NewLease(e.watcher.config, e.watcher.namespace, e.report.id)
}

// Token is the launch's, "" when there is none: then nothing is reported.
func (e *Engine) Token() string {
	token, err := os.ReadFile(filepath.Join(e.opts.Dir, config.TokenFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
}

// Registry is where the heartbeat's metrics go too.
func (e *Engine) Registry() prometheus.Registerer { return e.metrics.registry }
