package pool

import "time"

// Connections are what hangs on a replica for those who call it.
type Connections interface {
	// Open is called when a replica that was gone is back.
	Open()
	// Close is called when a replica leaves the endpoints: idle connections are
	// closed, and those in use once they are idle.
	Close()
	// CloseIdle closes the connections that nobody has used since before.
	CloseIdle(before time.Time)
}

// Replica is one running instance of an algorithm. Its pool's lock guards it.
type Replica struct {
	addr  string
	conns Connections

	inFlight    counts          // calls of all engines, as far as we know
	own         counts          // calls of this engine
	borrowed    map[Peer]counts // calls of engines that borrow our slots
	former      map[Peer]counts // calls of this engine that engines count which owned the slots before
	gone        bool            // not in the endpoints
	ejected     bool            // refused a connection a moment ago
	quarantined bool            // a call is stuck on it: its process is being replaced
	since       time.Time       // when it joined others, while it starts slowly; else zero
}

// Addr returns the replica's host:port.
func (r *Replica) Addr() string { return r.addr }

// Connections returns what Options.Connect returned for the replica.
func (r *Replica) Connections() Connections { return r.conns }

// calls returns how many calls of all engines it has.
func (r *Replica) calls() int { return r.inFlight.sum() }

// claim takes a slot of r for an engine; nil is this one.
func (p *Pool) claim(r *Replica, by Peer, c Class) {
	r.inFlight[c]++
	p.held[c]++
	if by == nil {
		r.own[c]++
		return
	}
	if r.borrowed == nil {
		r.borrowed = map[Peer]counts{}
	}
	n := r.borrowed[by]
	n[c]++
	r.borrowed[by] = n
}

// countedBy notes that an engine which does not own the slots counts n more calls
// of this engine.
func (r *Replica) countedBy(former Peer, n counts) {
	if n == (counts{}) {
		return
	}
	if r.former == nil {
		r.former = map[Peer]counts{}
	}
	for c := range n {
		n[c] += r.former[former][c]
	}
	r.former[former] = n
}

// leave marks a replica that is no longer in the endpoints.
func (r *Replica) leave() {
	r.gone = true
	if r.conns != nil {
		r.conns.Close()
	}
}

// comeBack marks a replica that left and came again while calls were in flight.
func (r *Replica) comeBack() {
	r.gone, r.quarantined, r.ejected = false, false, false
	if r.conns != nil {
		r.conns.Open()
	}
}

// slots returns how many calls at once r may have: fewer while it is new.
func (p *Pool) slots(r *Replica) int {
	concurrency := p.limits.Concurrency
	if r.since.IsZero() || concurrency == 1 {
		return concurrency
	}
	age := time.Since(r.since)
	if age >= slowStart {
		r.since = time.Time{}
		return concurrency
	}
	return 1 + int(float64(concurrency-1)*float64(age)/float64(slowStart))
}

// ramp serves the queue again and again while a new replica's slots grow.
func (p *Pool) ramp() {
	if p.ramping || p.limits.Concurrency == 1 {
		return
	}
	for _, r := range p.replicas {
		if !r.since.IsZero() {
			p.ramping = true
			time.AfterFunc(rampEvery, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.ramping = false
				p.serveQueue()
				p.ramp()
			})
			return
		}
	}
}

// eject gives r no new calls for a moment after it refused a connection.
func (p *Pool) eject(r *Replica) {
	if r.ejected {
		return
	}
	r.ejected = true
	time.AfterFunc(ejectFor, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		r.ejected = false
		p.serveQueue()
	})
}

// Readmit ends r's quarantine: its process is a new one.
func (p *Pool) Readmit(r *Replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.quarantined = false
	p.serveQueue()
}

// Quarantined reports whether r is a replica of the pool that still waits to be
// readmitted.
func (p *Pool) Quarantined(r *Replica) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return r.quarantined && !r.gone && !p.closed
}
