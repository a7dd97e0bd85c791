package ratelimit

import (
	"container/list"
	"hash/maphash"
	"math"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// How many who ask a Limiter knows.
const (
	shardCount = 32
	shardMost  = 1024
)

// subject is who asks, of a limit.
type subject struct {
	name Name
	who  string
}

// shard is a part of those who ask, the last one first.
type shard struct {
	mu    sync.Mutex
	of    map[subject]*entry
	order list.List
}

func (l *Limiter) shard(of subject) *shard {
	var h maphash.Hash
	h.SetSeed(l.seed)
	_, _ = h.WriteString(string(of.name)) // never fails
	_, _ = h.WriteString(of.who)
	return &l.shards[h.Sum64()%shardCount]
}

// get returns the entry of who asks, made when it is not there: then who asked longest
// ago is forgotten, what this server claimed for them with them.
func (s *shard) get(of subject, r *rule) *entry {
	if e := s.of[of]; e != nil {
		s.order.MoveToFront(e.place)
		return e
	}
	for at := s.order.Back(); at != nil && len(s.of) >= shardMost; {
		last := at.Value.(*entry)
		at = at.Prev()
		if last.asking != nil {
			continue
		}
		s.order.Remove(last.place)
		delete(s.of, subject{last.Name, last.who})
		last.lease = 0
	}
	e := &entry{rule: r, shard: s, who: of.who}
	e.place = s.order.PushFront(e)
	s.of[of] = e
	return e
}

// entry is what a server knows of somebody who asks. Its shard's lock guards it.
type entry struct {
	*rule
	shard  *shard
	place  *list.Element
	who    string
	usedAt time.Duration

	spent bucket // admitted by this server on its own, and not told to the database
	alone bucket // admitted while the database was not asked

	lease, claimed int // left of the last claim, and all of it
	took           int // since the last claim
	claimedAt      time.Duration

	known    bool // the database was asked
	left     int  // what it had left
	leftAt   time.Duration
	claiming int // by the claim under way
	telling  int // what was spent, by the claim under way

	until  time.Duration // requests are refused
	asking chan struct{} // closed when the claim under way is answered; nil is none
	toldAt time.Duration // people were told that it is throttled
}

// bucket is a level that sinks with time.
type bucket struct {
	level float64
	at    time.Duration
}

func (b *bucket) drain(now time.Duration, perSecond float64) {
	b.level = max(0, b.level-(now-b.at).Seconds()*perSecond)
	b.at = now
}

func (b *bucket) add(now time.Duration, perSecond float64) {
	b.drain(now, perSecond)
	b.level++
}

// ownLeft reports whether this server may admit one more on its own.
func (e *entry) ownLeft(now time.Duration) bool {
	if e.own < 1 {
		return false
	}
	e.spent.drain(now, e.own/e.Window.Seconds())
	return e.spent.level+float64(e.telling)+1 <= e.own+0.001 && e.elsewhere(now)-e.spent.level >= 1
}

// elsewhere returns how much of the quota is left in the database, as far as this
// server knows.
func (e *entry) elsewhere(now time.Duration) float64 {
	if !e.known {
		return float64(e.Quota)
	}
	return min(float64(e.Quota-e.lease), float64(e.left)+(now-e.leftAt).Seconds()/e.step.Seconds())
}

// decide returns the decision of a request that was just admitted.
func (e *entry) decide(now time.Duration) Decision {
	left := max(0, e.elsewhere(now)+float64(e.lease+e.claiming)-e.spent.level)
	d := Decision{limit: e.rule, subject: e.who, left: int(left + 0.001)}
	d.full = time.Duration(max(0, float64(e.Quota)-left) * float64(e.step))
	return d
}

// claim returns what the database is told and asked for: as many as are made in two
// seconds. What was spent counts there from then on.
func (e *entry) claim(now time.Duration) postgres.RateClaim {
	e.spent.drain(now, e.own/e.Window.Seconds())
	spent := int(math.Ceil(e.spent.level - 0.001))
	want := e.least
	if e.took > 0 {
		perSecond := float64(e.took) / max(0.05, (now-e.claimedAt).Seconds())
		want = min(max(int(2*perSecond), e.least), e.most)
	}
	left := int(e.elsewhere(now)) - spent
	e.claiming = max(0, min(want, left))
	e.left, e.leftAt, e.known = max(0, left-want), now, true
	e.spent.level, e.telling = 0, spent
	return postgres.RateClaim{Name: string(e.Name), Subject: e.who, Quota: e.Quota, Step: e.step, Spent: spent, Want: want}
}

// granted takes what the database granted.
func (e *entry) granted(c postgres.RateClaim, g postgres.RateGrant, now time.Duration) {
	e.lease += g.Granted
	e.claiming, e.telling = 0, 0
	e.claimed, e.took, e.claimedAt = e.lease, 0, now
	e.known, e.left, e.leftAt = true, g.Left, now
	if e.lease == 0 && c.Want > 0 {
		wait := g.Wait
		if !e.Exact {
			wait = max(wait, leastRefuse)
		}
		e.until = now + wait
	}
}

// failed takes back what the database was not told.
func (e *entry) failed(c postgres.RateClaim) {
	if c.Spent > 0 {
		e.spent.level += float64(c.Spent)
	}
	e.known, e.claiming, e.telling = false, 0, 0
}
