// Package heartbeat reports a satellite to its mothership, and takes from the
// answers who may call it and how long. One engine of a
// launch reports for all: the one that holds the Lease. It asks the others
// what they counted, and hands on to them what the mothership said.
package heartbeat

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Engine is the engine that reports. It has a whole interface since a test of
// the sending needs no engine, and the engine no heartbeat.
type Engine interface {
	// Report is what it runs, has in force and counted.
	Report() Report
	// Take puts in force, besides the satellite's own key, what the mothership
	// said, unless what is in force is newer. It reports whether it did.
	Take(Access) bool
	// Peers are the other engines, host:port, with or without itself.
	Peers() []string
}

// Access is who may call the satellite's algorithms, and until when the
// satellite is good. Of two, the one with the greater Version is the newer.
type Access struct {
	Version   int64                `json:"version"`
	ExpiresAt time.Time            `json:"expires_at,omitzero"`
	Keys      []apiv1.HeartbeatKey `json:"keys"` // without the satellite's own
}

// Report is what one engine says of itself and of the satellite.
type Report struct {
	Satellite  config.Satellite
	Launch     string
	Mothership config.Mothership

	Access     Access   // in force
	KeysUsed   []string // since the last Report
	Algorithms []apiv1.HeartbeatAlgorithm
	Counts     apiv1.HeartbeatEngine
}

// Options are a Sender's settings; those without a default say so.
type Options struct {
	Engine    Engine // required
	Token     string // the launch's; required
	Version   string // of this program
	Lease     *Lease // nil reports always: there is one engine
	Work      Work   // nil: no calls outlive their callers
	Every     time.Duration
	Jitter    func() float64 // 0 to 1; nil is random
	Log       *slog.Logger   // nil discards
	Registry  prometheus.Registerer
	Transport Transport
}

// Defaults of how often it reports, and how seldom when it is told so or
// refused.
const (
	defaultEvery       = 30 * time.Second
	maxRoutineInterval = 5 * time.Minute
	maxInterval        = time.Hour
)

// Sender reports until it is stopped. Make it with New.
type Sender struct {
	Options
	log      *slog.Logger
	metrics  *metrics
	sequence int64
	failing  string // the problem that was logged last, "" after a success
	stale    bool   // the mothership answered less than was known already
	used     map[string]bool
	client   client
	work     work
}

// New makes a Sender.
func New(o Options) *Sender {
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Jitter == nil {
		o.Jitter = rand.Float64
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Sender{
		Options: o, log: o.Log, metrics: newMetrics(o.Registry), used: map[string]bool{},
		client: client{token: o.Token, transport: o.Transport}, work: work{Work: o.Work},
	}
}

// Run reports until ctx ends. It never fails: a satellite serves without a
// mothership.
func (s *Sender) Run(ctx context.Context) {
	defer s.client.close()
	if s.Lease != nil {
		defer s.Lease.release(context.WithoutCancel(ctx))
	}
	// Engines that start together do not ask for the Lease together.
	wait := time.Duration(s.Jitter() * float64(min(time.Second, s.Every)))
	var next time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		leads := s.Lease == nil || s.Lease.hold(ctx, s.log)
		s.metrics.lead(leads)
		if leads && !time.Now().Before(next) {
			next = time.Now().Add(s.jittered(s.beat(ctx)))
		}
		wait = max(time.Until(next), 0)
		if s.Lease != nil {
			wait = min(wait, s.Lease.every())
		}
		if !leads {
			next, wait = time.Time{}, s.Lease.every()
		}
	}
}

// jittered is d give or take a tenth.
func (s *Sender) jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*s.Jitter()))
}

// beat reports once, and says when to report again.
func (s *Sender) beat(ctx context.Context) time.Duration {
	report := s.Engine.Report()
	if report.Mothership.URL == "" {
		return s.Every // turned off by the configuration, which may change
	}
	peers := s.exchange(ctx, report)
	if newest := newestAccess(report.Access, peers); newest.Version > report.Access.Version {
		s.Engine.Take(newest) // the other engine was told more
		report.Access = newest
	}
	s.sequence++
	body := apiv1.Heartbeat{
		Engine: report.Counts.ID, Sequence: s.sequence,
		SatelliteVersion: report.Satellite.Version, SystemVersion: s.Version,
		KeysDigest: apiv1.KeysDigest(report.Access.Keys),
		Algorithms: report.Algorithms, Engines: []apiv1.HeartbeatEngine{report.Counts},
	}
	s.use(report.KeysUsed)
	for _, peer := range peers {
		body.Engines = append(body.Engines, peer.Counts)
		addCalls(body.Algorithms, peer.Algorithms)
	}
	body.KeysUsed = slices.Sorted(maps.Keys(s.used))
	s.work.report(ctx, &body)
	answer, err := s.post(ctx, report, &body)
	if err != nil {
		return s.failed(ctx, err)
	}
	s.succeeded(report)
	s.Lease.succeeded(answer.SatelliteVersion)
	clear(s.used)
	s.take(ctx, &report, answer)
	if answer.SatelliteVersion != report.Satellite.Version {
		s.log.Info("the mothership has another version for this launch: get and deploy it", "runs", report.Satellite.Version, "wanted", answer.SatelliteVersion)
	}
	next := time.Duration(answer.NextSeconds) * time.Second
	if next <= 0 {
		next = s.Every
	}
	if s.work.answered(ctx, body.CommandsDone, answer.QueueCommands) {
		next = min(next, commandInterval)
	}
	return min(next, maxInterval)
}

// post sends a heartbeat, and waits for its answer for a while.
func (s *Sender) post(ctx context.Context, report Report, body *apiv1.Heartbeat) (*apiv1.HeartbeatAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return s.client.report(ctx, report, body)
}

// take puts in force what the mothership answered, at once and in every
// engine: a revoked key ends with this heartbeat.
func (s *Sender) take(ctx context.Context, report *Report, answer *apiv1.HeartbeatAnswer) {
	told := report.Access
	if answer.Keys != nil {
		told.Keys = answer.Keys.Keys
	}
	if !answer.ExpiresAt.IsZero() {
		told.ExpiresAt = answer.ExpiresAt
	}
	told.Version = answer.AccessVersion
	if told.Version == 0 && (answer.Keys != nil || !told.ExpiresAt.Equal(report.Access.ExpiresAt)) {
		told.Version = report.Access.Version + 1 // a mothership that does not count is taken at its word
	}
	stale := answer.Keys != nil && told.Version < report.Access.Version
	if stale && !s.stale {
		s.log.Warn("the mothership knows less of this satellite's keys than the satellite was told, as after it was restored from a backup; what was told stays in force until its next change",
			"told", report.Access.Version, "answered", told.Version)
	}
	s.stale = stale
	// Of the same version, keys come when one of them expired.
	if told.Version <= report.Access.Version && answer.Keys == nil || !s.Engine.Take(told) {
		return
	}
	if answer.Keys != nil {
		s.log.Info("the mothership changed who may call", "keys", len(told.Keys))
	}
	report.Access = told
	s.exchange(ctx, *report)
}

// use notes keys that were used; they are told until a heartbeat is taken.
func (s *Sender) use(ids []string) {
	for _, id := range ids {
		s.used[id] = true
	}
}

// newestAccess returns the newest of what engines have in force.
func newestAccess(newest Access, others []peerReport) Access {
	for _, other := range others {
		if other.Access.Version > newest.Version {
			newest = other.Access
		}
	}
	return newest
}

// addCalls adds the calls that wait and run at another engine; replicas are
// the same ones.
func addCalls(to, from []apiv1.HeartbeatAlgorithm) {
	for i := range to {
		for _, a := range from {
			if a.VanityURL == to[i].VanityURL {
				to[i].Queued += a.Queued
				to[i].InFlight += a.InFlight
			}
		}
	}
}

func (s *Sender) succeeded(report Report) {
	s.metrics.beat("ok", time.Now())
	if s.failing != "" || s.sequence == 1 {
		s.log.Info("reporting to the mothership", "url", report.Mothership.URL)
	}
	s.failing = ""
}

// failed logs a problem once, and says when to try again.
func (s *Sender) failed(ctx context.Context, err error) time.Duration {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return s.Every
	}
	s.metrics.beat("failed", time.Now())
	s.Lease.failed(err)
	level := slog.LevelDebug // it was said
	if s.failing == "" {
		level = slog.LevelWarn
	}
	s.failing = err.Error()
	s.log.Log(ctx, level, "the mothership does not take the heartbeat; the satellite serves on", "error", err)
	if refused, ok := errors.AsType[*refusedError](err); ok {
		if refused.retryAfter > 0 {
			return refused.retryAfter
		}
		if refused.status < 500 {
			return maxRoutineInterval // nothing will change by asking often
		}
	}
	return s.Every
}
