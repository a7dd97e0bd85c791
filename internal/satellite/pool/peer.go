package pool

import (
	"errors"
	"time"
)

// Peer is another engine of the satellite. As an algorithm's slot owner it is
// asked for slots; as a borrower of slots that we own it only says whose they
// are. Its methods are called with the pool's lock held: they neither block nor
// call the pool.
type Peer interface {
	// Acquire asks for a slot for w, and returns the request's number. It is
	// answered by Pool.OnAnswer, or by Pool.Reacquire when the peer is gone.
	Acquire(p *Pool, w *Waiter) (request uint64)
	// Cancel takes back a request.
	Cancel(request uint64)
	// Claim reports n slots of a replica that our calls of a class hold.
	Claim(p *Pool, addr string, c Class, n int)
	// Release reports that a call of ours freed its slot.
	Release(p *Pool, addr string, c Class, o Outcome)
}

// SetOwner makes owner the engine that hands out the slots; nil is this one. An
// owner hears of the slots that our calls hold before it hears of any that is
// released, and before it is asked for one. It may have owned them before, and
// count some of our calls still: each is claimed once, and those who owned the
// slots before hear of what is released, too.
func (p *Pool) SetOwner(owner Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owner == owner || p.closed {
		return
	}
	before := p.owner
	p.owner = owner
	p.recent.most = [demandTicks]int{} // demand is seen by the owner
	p.each(func(r *Replica) {
		if before != nil {
			r.countedBy(before, r.own)
		}
		if owner == nil {
			return
		}
		for c := range Class(classes) {
			if n := r.own[c] - r.former[owner][c]; n > 0 {
				owner.Claim(p, r.addr, c, n)
			}
		}
		delete(r.former, owner)
	})
	if owner == nil {
		p.noteDemand()
		p.serveQueue()
		return
	}
	if before == nil {
		p.forwardQueue()
	}
}

// forwardQueue asks the owner for slots for the calls that wait here, in their
// order. Other engines ask for theirs themselves.
func (p *Pool) forwardQueue() {
	for w := p.popAny(); w != nil; w = p.popAny() {
		if w.Borrower != nil {
			p.notify(w, nil, ErrMoved)
			continue
		}
		p.askOwner(w)
	}
}

// popAny removes and returns a call that waits here: synchronous ones first, in
// their order, then durable ones in theirs.
func (p *Pool) popAny() *Waiter {
	if w := p.queue.pop(); w != nil {
		return w
	}
	return p.durable.pop()
}

func (p *Pool) askOwner(w *Waiter) {
	w.state, w.owner = atOwner, p.owner
	w.request = p.owner.Acquire(p, w)
}

// settleDelay is how long two engines are given at first to agree on who owns
// the slots. It doubles up to 16 times of that.
const settleDelay = 5 * time.Millisecond

// Reacquire finds a slot for a call whose slot owner is gone or says that it
// owns none.
func (p *Pool) Reacquire(from Peer, w *Waiter, request uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !w.waitsAt(from, request):
	case p.owner == from:
		// One of us does not know the owner yet: the other engine, to which the
		// slots were just moved, or this one, from which they were.
		time.AfterFunc(settleDelay<<w.moved, func() { p.reacquireNow(from, w, request) })
		w.moved = min(w.moved+1, 4)
	default:
		p.retry(w)
	}
}

// reacquireNow is Reacquire after the delay.
func (p *Pool) reacquireNow(from Peer, w *Waiter, request uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.waitsAt(from, request) {
		p.retry(w)
	}
}

func (p *Pool) retry(w *Waiter) {
	if r, err := p.acquire(w); r != nil || err != nil {
		p.notify(w, r, err)
	}
}

// OnAnswer takes an owner's answer to a request: the replica of which w has a
// slot, or why it has none.
func (p *Pool) OnAnswer(from Peer, w *Waiter, request uint64, addr string, err error) {
	if errors.Is(err, ErrMoved) || errors.Is(err, ErrNoReplica) && p.mayWait(w) {
		p.Reacquire(from, w, request)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.waitsAt(from, request) {
		if err == nil {
			from.Release(p, addr, w.Class, OutcomeOK)
		}
		return
	}
	if err != nil {
		p.notify(w, nil, err)
		return
	}
	r := p.byAddress(addr)
	p.claim(r, nil, w.Class)
	if p.owner != from {
		var one counts
		one[w.Class] = 1
		r.countedBy(from, one)
		if p.owner != nil {
			p.owner.Claim(p, addr, w.Class, 1)
		}
	}
	p.notify(w, r, nil)
}

// mayWait reports whether w waits though its owner has no replica: an owner that
// has not read the new routes yet does not know that one is to be started.
func (p *Pool) mayWait(w *Waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.Class == ClassDurable {
		return !w.Retry
	}
	return p.limits.WaitForReplicas
}

// OnClaim takes slots that another engine's calls hold.
func (p *Pool) OnClaim(by Peer, addr string, c Class, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byAddress(addr)
	for range n {
		p.claim(r, by, c)
	}
	p.noteDemand()
}

// OnRelease frees a slot that a call of another engine had. An engine of the
// version before knows no classes: its durable calls are counted as synchronous,
// when they are claimed and when they are released.
func (p *Pool) OnRelease(by Peer, addr string, c Class, o Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byAddress(addr)
	borrowed := r.borrowed[by]
	if borrowed == (counts{}) {
		if r.gone && r.calls() == 0 {
			delete(p.lingering, addr)
		}
		return
	}
	if borrowed[c] == 0 {
		c = other(c)
	}
	borrowed[c]--
	r.borrowed[by] = borrowed
	p.free(r, c, o)
}

// OnPeerGone frees what an engine borrowed that is gone.
func (p *Pool) OnPeerGone(gone Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.each(func(r *Replica) {
		for c, n := range r.borrowed[gone] {
			r.inFlight[c] -= n
			p.held[c] -= n
		}
		delete(r.borrowed, gone)
		delete(r.former, gone)
	})
	if p.owner == nil {
		p.serveQueue()
	}
}

// each calls f with every replica, and forgets those that linger without calls.
func (p *Pool) each(f func(*Replica)) {
	for _, r := range p.replicas {
		f(r)
	}
	for addr, r := range p.lingering {
		if f(r); r.calls() == 0 {
			delete(p.lingering, addr)
		}
	}
}
