package pool

import (
	"slices"
	"time"
)

// Class says who waits for a call's answer. The values go over the engines'
// links: they never change.
type Class byte

// The classes.
const (
	ClassSync    Class = iota // a caller who waits
	ClassDurable              // nobody: the queue keeps the call until it was run

	classes = iota
)

// other returns the class that c is not.
func other(c Class) Class { return ClassDurable - c }

// counts are numbers of calls by class.
type counts [classes]int

func (n counts) sum() int { return n[ClassSync] + n[ClassDurable] }

// DefaultShare is the part of the slots, in percent, that durable calls get
// though synchronous ones wait.
const DefaultShare = 20

const (
	// demandTick and demandTicks are how long the most synchronous calls at
	// once are remembered.
	demandTick  = time.Second
	demandTicks = 10
	// durableLimit is how many durable calls may wait for a slot. Each engine
	// seeks for one at a time; what comes back from a replica that refused it
	// is beside that.
	durableLimit = 1024
)

func (l Limits) withDefaults() Limits {
	if l.SharePercent <= 0 {
		l.SharePercent = DefaultShare
	}
	l.SharePercent = min(l.SharePercent, 100)
	return l
}

// durable are the durable calls that wait for a slot: first come first served,
// those that come back from a replica before others. They wait though there is
// no replica.
type durable struct {
	front, calls []*Waiter
	credit       int // percent of a slot that they are owed
}

func (d *durable) n() int { return len(d.front) + len(d.calls) }

func (d *durable) push(w *Waiter) error {
	switch {
	case d.n() >= durableLimit:
		return ErrQueueFull
	case w.Retry:
		d.front = append(d.front, w)
	default:
		d.calls = append(d.calls, w)
	}
	return nil
}

func (d *durable) pop() *Waiter {
	from := &d.calls
	if len(d.front) > 0 {
		from = &d.front
	}
	if len(*from) == 0 {
		return nil
	}
	w := (*from)[0]
	*from = slices.Delete(*from, 0, 1)
	return w
}

func (d *durable) remove(w *Waiter) {
	for _, from := range []*[]*Waiter{&d.front, &d.calls} {
		if i := slices.Index(*from, w); i >= 0 {
			*from = slices.Delete(*from, i, i+1)
			return
		}
	}
}

// acquireDurable is acquire for a durable call. One that comes back from a replica
// waits for no other to be started: it goes back to its queue.
func (p *Pool) acquireDurable(w *Waiter, best *Replica, usable int) (*Replica, error) {
	if best != nil && (p.durable.n() == 0 || w.Retry) && p.durableTurn() {
		p.grant(w, best)
		return best, nil
	}
	if usable == 0 && w.Retry {
		return nil, ErrNoReplica
	}
	if err := p.durable.push(w); err != nil {
		return nil, err
	}
	w.state = inQueue
	p.noteStarved(usable)
	return nil, nil
}

// space is the slots of the usable replicas.
type space struct {
	slots   int
	free    int
	durable int // that durable calls have
}

func (p *Pool) space() (s space) {
	for _, r := range p.replicas {
		if r.quarantined || r.ejected {
			continue
		}
		slots := p.slots(r)
		s.slots += slots
		s.free += max(0, slots-r.calls())
		s.durable += r.inFlight[ClassDurable]
	}
	return s
}

// durableTurn reports whether a free slot goes to a durable call that wants it:
// because no synchronous call needs it, or because it is the durable calls'
// share.
func (p *Pool) durableTurn() bool {
	s := p.space()
	if p.queue.n == 0 && s.free > p.headroom() {
		return true
	}
	share := s.slots * p.limits.SharePercent // in hundredths of a slot
	most := min((share+99)/100, max(1, s.slots-1))
	switch {
	case s.durable >= most:
		return false
	case s.durable < share/100:
		return true
	}
	return p.durable.credit+p.limits.SharePercent >= 100
}

// countTurn notes whose turn it was. While a durable call waits, each slot that a
// synchronous one gets is a part of a slot that the durable ones are owed.
func (p *Pool) countTurn(c Class) {
	d, share := &p.durable, p.limits.SharePercent
	switch {
	case c == ClassDurable:
		d.credit = max(0, d.credit+share-100)
	case d.n() > 0:
		d.credit = min(100, d.credit+share)
	}
}

// demand remembers the most synchronous calls that ran or waited at once, for
// each tick of the last ones.
type demand struct {
	most    [demandTicks]int
	at      int // the tick that it is
	ticking bool
}

func (d *demand) peak() int { return slices.Max(d.most[:]) }

// noteDemand remembers how many synchronous calls run or wait. It reads no
// clock: this is on each call's way.
func (p *Pool) noteDemand() {
	if p.owner != nil {
		return
	}
	d, n := &p.recent, p.held[ClassSync]+p.queue.n
	if n > d.most[d.at] {
		d.most[d.at] = n
	}
	if !d.ticking && n > 0 {
		d.ticking = true
		p.after(demandTick, p.tick)
	}
}

// headroom returns how many free slots are kept for synchronous calls: what they
// recently needed and do not have now.
func (p *Pool) headroom() int { return max(0, p.recent.peak()-p.held[ClassSync]) }

// tick begins the next tick of demand. It goes on until there was none for all
// the ticks that are remembered.
func (p *Pool) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := &p.recent
	d.at = (d.at + 1) % demandTicks
	d.most[d.at] = p.held[ClassSync] + p.queue.n
	if p.owner != nil || p.closed {
		*d = demand{}
		return
	}
	if d.ticking = d.peak() > 0; d.ticking {
		p.after(demandTick, p.tick)
	}
	if p.durable.n() > 0 {
		p.serveQueue()
	}
}
