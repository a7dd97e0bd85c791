package ratelimit

import (
	"context"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// How long a claim may take, how long the database is not asked after one failed, and
// how many are in one statement.
const (
	claimTimeout = time.Second
	alonePeriod  = time.Second
	claimsMost   = 500
)

// How often what was claimed in advance is looked at, how far claims in advance are
// gathered, and how often the database is swept, and to how many rows.
const (
	idlePeriod   = time.Second
	gatherPeriod = 20 * time.Millisecond
	sweepPeriod  = time.Minute
	rowsMost     = 100_000
)

// claims is what Run has to do.
type claims struct {
	mu      sync.Mutex
	running bool                // somebody does it
	renew   []*entry            // to be claimed in advance
	held    map[*entry]struct{} // that have something claimed
	wake    chan struct{}
}

// isAlone reports whether a request goes by what this server knows itself. After a
// claim failed, one request in a while asks the database again.
func (l *Limiter) isAlone(now time.Duration) bool {
	until := l.alone.Load()
	if l.db == nil || time.Duration(until) > now {
		return true
	}
	return until != 0 && !l.alone.CompareAndSwap(until, int64(now+claimTimeout))
}

// renew has Run claim for e in advance. The caller has the shard's lock.
func (l *Limiter) renew(e *entry) {
	if e.asking != nil || l.db == nil || l.alone.Load() != 0 {
		return
	}
	l.claims.mu.Lock()
	running := l.claims.running
	if running {
		e.asking = make(chan struct{})
		l.claims.renew = append(l.claims.renew, e)
	}
	l.claims.mu.Unlock()
	if !running {
		return
	}
	select {
	case l.claims.wake <- struct{}{}:
	default:
	}
}

// ask claims for entries whose asking is set, and tells those who wait. The caller has
// no lock.
func (l *Limiter) ask(ctx context.Context, entries []*entry, list []postgres.RateClaim) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout) // others wait too
	defer cancel()
	grants, err := l.db.ClaimRates(ctx, list)
	l.metrics.claim(err)
	now := l.now()
	if err != nil {
		if l.alone.Swap(int64(now+alonePeriod)) == 0 {
			l.log.WarnContext(ctx, "rate limits are not shared while the database does not answer: each server keeps to them by itself", "error", err)
		}
	} else if l.alone.Swap(0) != 0 {
		l.log.InfoContext(ctx, "rate limits are shared again")
	}
	for i, e := range entries {
		e.shard.mu.Lock()
		if err != nil {
			e.failed(list[i])
		} else {
			e.granted(list[i], grants[i], now)
		}
		held := e.lease > 0
		if e.asking != nil {
			close(e.asking)
			e.asking = nil
		}
		e.shard.mu.Unlock()
		if held && !e.Exact {
			l.claims.mu.Lock()
			l.claims.held[e] = struct{}{}
			l.claims.mu.Unlock()
		}
	}
}

// Run claims in advance, gives back what is not used, tells of who is throttled and
// sweeps the database, until ctx ends.
func (l *Limiter) Run(ctx context.Context) {
	if l == nil || l.db == nil || len(l.rules) == 0 {
		return
	}
	var beside sync.WaitGroup
	beside.Go(func() { l.upkeep(ctx) })
	l.setRunning(true)
	idle := time.NewTicker(idlePeriod)
	defer idle.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-l.claims.wake:
			l.claimAhead(ctx)
			select { // what comes meanwhile is one statement
			case <-time.After(gatherPeriod):
			case <-ctx.Done():
			}
		case <-idle.C:
			before := l.now() - idlePeriod
			l.giveBack(ctx, func(e *entry) bool { return e.usedAt < before })
		}
	}
	l.setRunning(false)
	l.claimAhead(ctx) // for those who wait
	l.giveBack(ctx, func(*entry) bool { return true })
	beside.Wait()
}

func (l *Limiter) setRunning(running bool) {
	l.claims.mu.Lock()
	defer l.claims.mu.Unlock()
	l.claims.running = running
}

// upkeep tells of who is throttled, and sweeps the database, until ctx ends.
func (l *Limiter) upkeep(ctx context.Context) {
	sweep := time.NewTicker(sweepPeriod)
	defer sweep.Stop()
	tellers := throttling{limiter: l}
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-l.told:
			tellers.tell(ctx, e)
		case <-sweep.C:
			if err := l.db.SweepRates(ctx, rowsMost); err != nil && ctx.Err() == nil {
				l.log.WarnContext(ctx, "sweep rate limits", "error", err)
			}
		}
	}
}

// claimAhead claims for all that wait for it.
func (l *Limiter) claimAhead(ctx context.Context) {
	l.claims.mu.Lock()
	due := l.claims.renew
	l.claims.renew = nil
	l.claims.mu.Unlock()
	for len(due) > 0 {
		some := due[:min(len(due), claimsMost)]
		due = due[len(some):]
		list := make([]postgres.RateClaim, len(some))
		for i, e := range some {
			e.shard.mu.Lock()
			list[i] = e.claim(l.now())
			e.shard.mu.Unlock()
		}
		l.ask(ctx, some, list)
	}
}

// giveBack returns to the database what was claimed for those who are idle.
func (l *Limiter) giveBack(ctx context.Context, idle func(*entry) bool) {
	l.claims.mu.Lock()
	held := make([]*entry, 0, len(l.claims.held))
	for e := range l.claims.held {
		held = append(held, e)
	}
	l.claims.mu.Unlock()
	var entries []*entry
	var list []postgres.RateClaim
	for _, e := range held {
		e.shard.mu.Lock()
		gone := e.lease == 0
		if e.asking == nil && !gone && idle(e) {
			e.asking, gone = make(chan struct{}), true
			list = append(list, postgres.RateClaim{Name: string(e.Name), Subject: e.who, Quota: e.Quota, Step: e.step, Spent: -e.lease})
			entries = append(entries, e)
			e.lease = 0
		}
		e.shard.mu.Unlock()
		if gone {
			l.claims.mu.Lock()
			delete(l.claims.held, e)
			l.claims.mu.Unlock()
		}
		if len(entries) == claimsMost {
			l.ask(ctx, entries, list)
			entries, list = nil, nil
		}
	}
	if len(entries) > 0 {
		l.ask(ctx, entries, list)
	}
}

// throttling bounds how often people are told.
type throttling struct {
	limiter *Limiter
	since   time.Duration
	n       int
}

// toldMost is how many who are throttled people are told of in an hour by a server.
const toldMost = 40

func (t *throttling) tell(ctx context.Context, e *entry) {
	now := t.limiter.now()
	if t.since == 0 || now-t.since > time.Hour {
		t.since, t.n = now, 0
	}
	if t.n++; t.n <= toldMost {
		t.limiter.throttled(ctx, e.Name, e.who)
	}
}
