package engine

import "time"

// setReplicas makes addresses the algorithm's replicas. One that is no longer
// there gets no new calls; one that comes back still holds the calls it had.
// One that joins others starts slowly.
func (p *pool) setReplicas(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := make(map[string]*replica, len(p.replicas))
	for _, r := range p.replicas {
		old[r.addr] = r
	}
	joins := len(old) > 0
	replicas := make([]*replica, 0, len(addresses))
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
				r.back()
			} else {
				r = newReplica(addr)
			}
			if joins {
				r.since = time.Now()
			}
		}
		replicas = append(replicas, r)
	}
	for _, r := range old {
		r.leave()
		if r.inFlight > 0 {
			p.lingering[r.addr] = r
		}
	}
	p.replicas = replicas
	p.dispatch()
	p.ramp()
}

// byAddress gives the replica with that address. One that the cluster did not
// tell us of yet, or not any more, lingers while it has calls.
func (p *pool) byAddress(addr string) *replica {
	for _, r := range p.replicas {
		if r.addr == addr {
			return r
		}
	}
	r := p.lingering[addr]
	if r == nil {
		r = newReplica(addr)
		r.gone = true
		p.lingering[addr] = r
	}
	return r
}

// configure takes a reloaded route's limits.
func (p *pool) configure(concurrency, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.concurrency, p.limit = concurrency, limit
	p.dispatch()
	p.ramp()
}

// close refuses every call that waits or comes; those in flight finish.
func (p *pool) close() {
	p.setReplicas(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for w := p.queue.pop(); w != nil; w = p.queue.pop() {
		p.tell(w, nil, errRouteClosed)
	}
}

// poolState is what metrics show of a pool: its replicas by state, and the
// calls of this engine.
type poolState struct {
	known, ready, aside, withheld, starting int
	inFlight, queued                        int
	grants                                  bool // this engine hands out the slots
}

func (p *pool) state() poolState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := poolState{known: len(p.replicas), queued: p.waits, grants: p.granter == nil}
	for _, r := range p.replicas {
		switch {
		case r.withheld:
			s.withheld++
		case r.aside:
			s.aside++
		default:
			s.ready++
			if p.room(r) < p.concurrency {
				s.starting++
			}
		}
		s.inFlight += r.mine
	}
	for _, r := range p.lingering {
		s.inFlight += r.mine
	}
	return s
}

// closeIdle closes connections that nobody used since before.
func (p *pool) closeIdle(before time.Time) {
	p.mu.Lock()
	replicas := p.replicas
	p.mu.Unlock()
	for _, r := range replicas {
		r.closeIdle(before)
	}
}
