package ratelimit

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How much of a quota a server admits on its own in a window, and claims at most; and
// how long it refuses at least, so that requests beyond a limit cost few claims.
const (
	ownShare    = 32
	claimShare  = 8
	leastRefuse = 200 * time.Millisecond
)

// Config is what a Limiter is made of. DB nil is a server alone; Log and Throttled may
// be nil.
type Config struct {
	Limits []Limit // those whose quota is 0 are off
	DB     *postgres.DB
	Log    *slog.Logger
	// Throttled is called when somebody is refused by an Exact limit, at most once an
	// hour for each and forty times an hour in all, by Run.
	Throttled func(ctx context.Context, name Name, subject string)
}

// Limiter counts requests. It is safe for concurrent use; nil admits everything.
type Limiter struct {
	rules     map[Name]*rule
	db        *postgres.DB
	log       *slog.Logger
	throttled func(ctx context.Context, name Name, subject string)
	begun     time.Time
	seed      maphash.Seed
	shards    [shardCount]shard
	claims    claims
	alone     atomic.Int64 // until then the database is not asked, in time since begun
	told      chan *entry  // who was refused for the first time in a while
	metrics   *metrics
}

// rule is a limit with what follows from it.
type rule struct {
	Limit
	step         time.Duration
	own          float64 // admitted without the database, in a window
	least, most  int     // of a claim
	policy, item string

	admitted, refused counter
}

func newRule(l Limit) *rule {
	r := &rule{
		Limit: l, step: l.step(), least: max(1, l.Quota/ownShare), most: max(1, l.Quota/claimShare),
		item: fmt.Sprintf("%q", l.Name), policy: fmt.Sprintf(`"%s";q=%d;w=%d`, l.Name, l.Quota, seconds(l.Window)),
	}
	if l.Exact {
		r.least, r.most = 1, 1
	} else {
		r.own = float64(l.Quota / ownShare)
	}
	return r
}

// New makes a Limiter; Run has it claim in advance.
func New(c Config) *Limiter {
	l := &Limiter{
		rules: map[Name]*rule{}, db: c.DB, log: c.Log, throttled: c.Throttled, begun: time.Now(), seed: maphash.MakeSeed(),
		claims: claims{wake: make(chan struct{}, 1), held: map[*entry]struct{}{}}, told: make(chan *entry, 64),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	for i := range l.shards {
		l.shards[i].of = map[subject]*entry{}
		l.shards[i].order.Init()
	}
	l.metrics = newMetrics(l)
	for _, limit := range c.Limits {
		if limit.Quota > 0 {
			r := newRule(limit)
			r.admitted, r.refused = l.metrics.outcomes(limit.Name)
			l.rules[limit.Name] = r
		}
	}
	return l
}

// now is the time since the Limiter was made, which no clock that is set changes.
func (l *Limiter) now() time.Duration { return time.Since(l.begun) }

// Take counts a request of somebody, and returns whether it is admitted. It asks the
// database only when this server has nothing left of what it claimed, for a second at
// most.
func (l *Limiter) Take(ctx context.Context, name Name, who string) Decision {
	if l == nil || l.rules[name] == nil {
		return Decision{}
	}
	r := l.rules[name]
	d := l.take(ctx, r, subject{name, who})
	if d.refused {
		r.refused.Inc()
	} else {
		r.admitted.Inc()
	}
	return d
}

// Count takes a request of somebody, tells in its answer's header what is left, and
// returns KindRateLimited when it is refused.
func (l *Limiter) Count(ctx context.Context, h http.Header, name Name, who string) error {
	d := l.Take(ctx, name, who)
	d.Tell(h)
	return d.Err()
}

// Stranger counts a request of which err says that nobody is known by it, as one of its
// address: with a key that is wrong, or without any. It returns err, or KindRateLimited.
func (l *Limiter) Stranger(ctx context.Context, h http.Header, address string, withKey bool, err error) error {
	if constellation.KindOf(err) != constellation.KindUnauthenticated {
		return err
	}
	name := Address
	if withKey {
		name = WrongKey
	}
	if refused := l.Count(ctx, h, name, Network(address)); refused != nil {
		return refused
	}
	return err
}

func (l *Limiter) take(ctx context.Context, r *rule, of subject) Decision {
	s := l.shard(of)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		e, now := s.get(of, r), l.now()
		e.usedAt = now
		switch {
		case e.until > now:
			return l.refuse(e, now, e.until-now)
		case e.lease > 0:
			e.lease--
			e.took++
			if e.lease <= e.claimed/2 && !r.Exact {
				l.renew(e)
			}
			return e.decide(now)
		case e.ownLeft(now):
			e.spent.add(now, r.own/r.Window.Seconds())
			if e.spent.level > r.own/2 {
				l.renew(e)
			}
			return e.decide(now)
		case l.isAlone(now):
			return l.takeAlone(e, now)
		case e.asking != nil:
			asking := e.asking
			s.mu.Unlock()
			select {
			case <-asking:
			case <-ctx.Done():
			}
			s.mu.Lock()
			if ctx.Err() != nil {
				return Decision{} // nobody waits for the answer
			}
		default:
			e.asking = make(chan struct{})
			claim := e.claim(now)
			s.mu.Unlock()
			l.ask(ctx, []*entry{e}, []postgres.RateClaim{claim})
			s.mu.Lock()
		}
	}
}

// takeAlone counts a request while the database is not asked: by the whole quota, of
// this server alone.
func (l *Limiter) takeAlone(e *entry, now time.Duration) Decision {
	r := e.rule
	perSecond := float64(r.Quota) / r.Window.Seconds()
	e.alone.drain(now, perSecond)
	used := e.alone.level + e.spent.level + 1
	if over := used - float64(r.Quota); over > 0.001 {
		return l.refuse(e, now, time.Duration(over*float64(r.step)))
	}
	e.alone.level++
	return Decision{limit: r, subject: e.who, left: int(float64(r.Quota) - used + 0.001), full: time.Duration(used * float64(r.step))}
}

// refuse refuses a request of e, and has people told of it where that matters.
func (l *Limiter) refuse(e *entry, now, wait time.Duration) Decision {
	if e.Exact && l.throttled != nil && (e.toldAt == 0 || now-e.toldAt > time.Hour) {
		select {
		case l.told <- e:
			e.toldAt = now
		default: // so many at once that one more says nothing
		}
	}
	d := Decision{limit: e.rule, subject: e.who, refused: true, wait: max(wait, time.Millisecond)}
	d.full = d.wait + time.Duration(e.Quota-1)*e.step
	return d
}
