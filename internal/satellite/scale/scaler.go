package scale

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

const (
	defaultEvery = time.Second
	// resync is how often a Deployment is read that is not changed.
	resync = 10 * time.Second
	// explainAfter is how long replicas may be missing before the cluster is asked why.
	explainAfter = 5 * time.Second
	// reportManualFor is how long a count that somebody else set is reported.
	reportManualFor = 10 * time.Minute
	// backlogEvery is how often the queue is asked what waits in it.
	backlogEvery = 2 * time.Second
)

// Target is an algorithm whose replicas follow its load.
type Target struct {
	VanityURL   string
	Deployment  string
	Min, Max    int // replicas
	Concurrency int // calls at once a replica
}

// Load is the load of an algorithm at one moment.
type Load struct {
	Calls   int // that run or wait, of all engines; without those in the durable queue
	Ready   int // replicas that take calls
	Waiting int // calls that wait in this engine
	// Scaled is the state that the leader reports; nil when no other engine is it.
	Scaled *State
}

// State is the state of an algorithm's scaling. The leader sends it to the other
// engines, in its reports.
type State = stats.Scale

// Source provides the algorithms to scale and their loads. The scaler does not
// hold its lock while it calls it.
type Source interface {
	// Targets returns the algorithms whose replicas follow their load.
	Targets() []Target
	// Loads returns their loads, by vanity URL.
	Loads() map[string]Load
}

// Backlog is the queue of durable calls.
type Backlog interface {
	// Backlog returns how many durable calls of an algorithm wait in the queue and
	// have no replica sought for them.
	Backlog(ctx context.Context, vanityURL string) (int, error)
}

// Options configures a Scaler. Fields without a default are required.
type Options struct {
	Source      Source
	Deployments Deployments
	HoldsLease  func() bool // reports whether this engine decides
	Backlog     Backlog     // nil without a queue
	Policy      Policy
	Every       time.Duration // 1 s: how often it decides
	Now         func() time.Time
	Log         *slog.Logger
}

// Scaler makes replicas follow their load. Use New to make one.
type Scaler struct {
	Options
	work sync.WaitGroup

	mu         sync.Mutex
	life       context.Context // of Run, nil when it does not run
	algorithms map[string]*algorithm
	backlog    map[string]int
}

// algorithm is what is known of one. The scaler's lock guards it.
type algorithm struct {
	target  Target
	decider *decider
	state   State
	decided bool // state is known
	seen    bool // its load was looked at once

	live     int // replicas that the Deployment asks for
	known    bool
	read     time.Time // when live was read last
	busy     bool      // a request to the API server is under way
	waking   bool
	problem  string    // why no replica could be asked for when this engine was woken
	short    time.Time // since when there are fewer ready replicas than asked for
	manualAt time.Time // when somebody else set them
	failures int
	retryAt  time.Time
}

// New returns a scaler.
func New(o Options) *Scaler {
	o.Every = cmp.Or(o.Every, defaultEvery)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Scaler{Options: o, algorithms: map[string]*algorithm{}, backlog: map[string]int{}}
}

// Run scales until ctx ends.
func (s *Scaler) Run(ctx context.Context) {
	s.mu.Lock()
	s.life = ctx
	s.mu.Unlock()
	defer s.stop()
	if s.Backlog != nil {
		s.work.Go(func() { s.readBacklogs(ctx) })
	}
	tick := time.NewTicker(s.Every)
	defer tick.Stop()
	for {
		s.tick(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// stop waits for what is under way; nothing is woken any more.
func (s *Scaler) stop() {
	s.mu.Lock()
	s.life = nil
	s.mu.Unlock()
	s.work.Wait()
}

// tick looks at the load once, and decides if it is this engine that does.
func (s *Scaler) tick(ctx context.Context) {
	targets := s.Source.Targets()
	var loads map[string]Load
	if len(targets) > 0 {
		loads = s.Source.Loads()
	}
	holds, now := s.IsLeader(), s.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keep(targets)
	for _, t := range targets {
		a, load := s.algorithms[t.VanityURL], loads[t.VanityURL]
		a.target = t
		if !a.seen && load.Waiting > 0 && load.Ready == 0 {
			s.wakeUp(a) // it waits since before the algorithm was known here, and woke nobody
		}
		a.seen = true
		if !holds {
			a.follow(load.Scaled)
			continue
		}
		s.decide(ctx, a, load, now)
	}
}

// keep forgets what is not scaled any more.
func (s *Scaler) keep(targets []Target) {
	wanted := make(map[string]bool, len(targets))
	for _, t := range targets {
		wanted[t.VanityURL] = true
		if a := s.algorithms[t.VanityURL]; a == nil || a.target.Deployment != t.Deployment {
			s.algorithms[t.VanityURL] = &algorithm{target: t, decider: newDecider(s.Policy)}
		}
	}
	for name := range s.algorithms {
		if !wanted[name] {
			delete(s.algorithms, name)
			delete(s.backlog, name)
		}
	}
}

// follow takes what another engine decided. What this one knew of the load is
// forgotten: should it decide again, it begins anew.
func (a *algorithm) follow(state *State) {
	if a.known {
		a.decider, a.known, a.short = newDecider(a.decider.policy), false, time.Time{}
	}
	if a.decided = state != nil; a.decided {
		a.state = *state
	}
}

// decide decides how many replicas there are to be, and begins to ask for them.
func (s *Scaler) decide(ctx context.Context, a *algorithm, load Load, now time.Time) {
	a.state.Min, a.state.Max = a.target.Min, a.target.Max
	if now.Sub(a.manualAt) > reportManualFor {
		a.state.Manual = ""
	}
	if !a.known {
		s.begin(ctx, a, now)
		return
	}
	o := observation{calls: load.Calls + s.backlog[a.target.VanityURL], ready: load.Ready, current: a.live}
	desired, suddenly := a.decider.decide(now, o, a.target)
	if desired != a.live && (desired != a.state.Desired || !a.decided) {
		s.Log.Info("the load asks for other replicas", "algorithm", a.target.VanityURL, "replicas", desired, "before", a.live,
			"calls", o.calls, "ready", o.ready, "suddenly", suddenly)
	}
	a.state.Desired, a.state.Burst, a.decided = desired, suddenly, true
	switch {
	case load.Ready >= desired:
		a.short = time.Time{}
		if a.failures == 0 {
			a.state.Reason = ""
		}
	case a.short.IsZero():
		a.short = now
	}
	if desired != a.live || now.Sub(a.read) >= resync || a.isShort(now) && now.Sub(a.read) >= explainAfter {
		s.begin(ctx, a, now)
	}
}

// isShort reports whether replicas have been missing for a while.
func (a *algorithm) isShort(now time.Time) bool {
	return !a.short.IsZero() && now.Sub(a.short) >= explainAfter
}

// begin reads the Deployment and sets its replicas, unless that is under way or
// failed just now.
func (s *Scaler) begin(ctx context.Context, a *algorithm, now time.Time) {
	if a.busy || now.Before(a.retryAt) {
		return
	}
	a.busy = true
	s.work.Go(func() { s.reconcile(ctx, a) })
}

// State returns what became of an algorithm's replicas, nil when that is not
// known yet or they do not follow the load. A nil scaler knows none.
func (s *Scaler) State(vanityURL string) *State {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.algorithms[vanityURL]
	if a == nil || !a.decided && a.problem == "" {
		return nil
	}
	state := a.state
	state.Min, state.Max, state.Reason = a.target.Min, a.target.Max, cmp.Or(state.Reason, a.problem)
	return &state
}

// IsLeader reports whether this engine decides.
func (s *Scaler) IsLeader() bool { return s.HoldsLease() }

// readBacklogs asks the queue, again and again, what waits in it. While it does
// not answer, what it said last holds.
func (s *Scaler) readBacklogs(ctx context.Context) {
	tick := time.NewTicker(backlogEvery)
	defer tick.Stop()
	for {
		if s.IsLeader() {
			for _, t := range s.Source.Targets() {
				n, err := s.Backlog.Backlog(ctx, t.VanityURL)
				if err != nil {
					continue
				}
				s.mu.Lock()
				s.backlog[t.VanityURL] = n
				s.mu.Unlock()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
