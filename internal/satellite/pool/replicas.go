package pool

import (
	"strings"
	"time"
)

// SetReplicas makes addresses the algorithm's replicas. One that is no longer
// there gets no new calls; one that comes back still holds the calls it had.
// One that joins others starts slowly.
func (p *Pool) SetReplicas(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := make(map[string]*Replica, len(p.replicas))
	for _, r := range p.replicas {
		old[r.addr] = r
	}
	joins := len(old) > 0
	replicas := make([]*Replica, 0, len(addresses))
	seen := make(map[string]bool, len(addresses))
	for _, addr := range addresses {
		if seen[addr] {
			continue
		}
		seen[addr] = true
		r := old[addr]
		delete(old, addr)
		if r == nil {
			if r = p.lingering[addr]; r != nil {
				delete(p.lingering, addr)
				r.comeBack()
			} else {
				r = p.newReplica(addr)
			}
			if joins {
				r.since = time.Now()
			}
		}
		replicas = append(replicas, r)
	}
	for _, r := range old {
		r.leave()
		if r.calls() > 0 {
			p.lingering[r.addr] = r
		}
	}
	p.replicas = replicas
	p.serveQueue()
	p.ramp()
}

func (p *Pool) newReplica(addr string) *Replica {
	r := &Replica{addr: addr}
	if p.connect != nil {
		r.conns = p.connect(addr)
	}
	return r
}

// byAddress returns the replica with that address. One that the endpoints do not
// have yet, or not any more, lingers while it has calls.
func (p *Pool) byAddress(addr string) *Replica {
	for _, r := range p.replicas {
		if r.addr == addr {
			return r
		}
	}
	r := p.lingering[addr]
	if r == nil {
		r = p.newReplica(addr)
		r.gone = true
		p.lingering[addr] = r
	}
	return r
}

// SetLimits changes the pool's limits.
func (p *Pool) SetLimits(l Limits) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limits = l.withDefaults()
	p.serveQueue()
	p.ramp()
}

// Close refuses every call that waits or comes. Those in flight finish.
func (p *Pool) Close() {
	p.SetReplicas(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for w := p.popAny(); w != nil; w = p.popAny() {
		p.notify(w, nil, ErrClosed)
	}
}

// State is a pool's state at one moment.
type State struct {
	// Replicas by state. Known are all in the endpoints; Starting ones are among
	// Ready.
	Known, Ready, Ejected, Quarantined, Starting int
	// InFlight and Queued count the calls of this engine; InFlight has those of
	// both classes, DurableInFlight is a part of it, and Queued has synchronous
	// calls alone: durable ones wait elsewhere, but for those that SeekingDurable
	// counts. One that may be none counts there while no replica is ready, which
	// alone would find out.
	InFlight, Queued                int
	DurableInFlight, SeekingDurable int
	// SlotsInUse and QueueLength count the calls of all engines, as the slot
	// owner has them. DurableInUse is a part of SlotsInUse, QueueLength has
	// synchronous calls alone.
	SlotsInUse, QueueLength, DurableInUse int
	OwnsSlots                             bool // this engine is the slot owner
}

// State returns the pool's state now.
func (p *Pool) State() State {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := State{Known: len(p.replicas), Queued: p.waiting[ClassSync], SeekingDurable: p.waiting[ClassDurable], QueueLength: p.queue.n, OwnsSlots: p.owner == nil}
	for _, r := range p.replicas {
		switch {
		case r.quarantined:
			s.Quarantined++
		case r.ejected:
			s.Ejected++
		default:
			s.Ready++
			if p.slots(r) < p.limits.Concurrency {
				s.Starting++
			}
		}
		s.InFlight += r.own.sum()
		s.DurableInFlight += r.own[ClassDurable]
		s.SlotsInUse += r.calls()
		s.DurableInUse += r.inFlight[ClassDurable]
	}
	if s.Ready > 0 {
		s.SeekingDurable -= p.looking
	}
	for _, r := range p.lingering {
		s.InFlight += r.own.sum()
		s.DurableInFlight += r.own[ClassDurable]
	}
	return s
}

// CloseIdle closes connections that nobody has used since before.
func (p *Pool) CloseIdle(before time.Time) {
	p.mu.Lock()
	replicas := p.replicas
	p.mu.Unlock()
	for _, r := range replicas {
		if r.conns != nil {
			r.conns.CloseIdle(before)
		}
	}
}

// Occupant is a replica with what is known of the calls on it.
type Occupant struct {
	Replica *Replica
	Sole    bool // it runs one call of this engine, and has one at a time
}

// At returns the replicas whose address has that host.
func (p *Pool) At(host string) []Occupant {
	p.mu.Lock()
	defer p.mu.Unlock()
	var found []Occupant
	for _, r := range p.replicas {
		if strings.HasPrefix(r.addr, host+":") || strings.HasPrefix(r.addr, "["+host+"]:") {
			found = append(found, Occupant{Replica: r, Sole: r.own.sum() == 1 && p.limits.Concurrency == 1})
		}
	}
	return found
}
