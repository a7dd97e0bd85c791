package engine

import (
	"errors"
	"time"
)

// hold is a number of slots of a replica that this engine has in use.
type hold struct {
	addr string
	n    int
}

// setGranter makes g the engine that grants this algorithm's slots, nil this
// one. g is told of the slots that our calls hold before it hears of any that
// is given back, and before it is asked for one.
func (p *pool) setGranter(g *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.granter == g || p.closed {
		return
	}
	before := p.granter
	p.granter = g
	if g == nil {
		p.dispatch()
		return
	}
	each := func(r *replica) {
		r.theirs, r.inFlight = nil, r.mine
		if r.mine > 0 {
			g.hold(p, hold{r.addr, r.mine})
		}
	}
	for _, r := range p.replicas {
		each(r)
	}
	for addr, r := range p.lingering {
		if each(r); r.inFlight == 0 {
			delete(p.lingering, addr)
		}
	}
	if before == nil {
		p.handQueue(g)
	}
}

// handQueue sends the calls that wait here to g, in their order; other
// engines' ask again themselves.
func (p *pool) handQueue(g *link) {
	for w := p.queue.pop(); w != nil; w = p.queue.pop() {
		if w.from != nil {
			p.tell(w, nil, errMoved)
			continue
		}
		w.state = asked
		g.ask(p, w)
	}
}

// agreeFor is how long two engines are given at first to come to the same view
// of who grants; it doubles up to 16 times of that.
const agreeFor = 5 * time.Millisecond

// askAgain finds a slot for a call whose granter went away or says that it is
// none.
func (p *pool) askAgain(w *waiter, number uint64, from *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !w.waitsFor(from, number):
	case p.granter == from:
		// One of us does not know yet who grants: it, when we just handed it
		// the algorithm, or we, when it just handed it on.
		time.AfterFunc(agreeFor<<w.refused, func() { p.askAnew(w, number, from) })
		w.refused = min(w.refused+1, 4)
	default:
		p.admitAgain(w)
	}
}

// askAnew is askAgain after the time to agree.
func (p *pool) askAnew(w *waiter, number uint64, from *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.waitsFor(from, number) {
		p.admitAgain(w)
	}
}

func (p *pool) admitAgain(w *waiter) {
	if r, err := p.admit(w); r != nil || err != nil {
		p.tell(w, r, err)
	}
}

// waitsFor says whether w still waits for the answer to that question.
func (w *waiter) waitsFor(of *link, number uint64) bool {
	return w.state == asked && w.of == of && w.number == number
}

// grantedBy is a granter's answer to a question.
func (p *pool) grantedBy(from *link, w *waiter, number uint64, addr string, err error) {
	if errors.Is(err, errMoved) {
		p.askAgain(w, number, from)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.waitsFor(from, number) {
		if err == nil {
			from.gaveBack(p, addr, verdictFine)
		}
		return
	}
	if err != nil {
		p.tell(w, nil, err)
		return
	}
	r := p.byAddress(addr)
	r.take(nil)
	if p.granter != nil && p.granter != from {
		p.granter.hold(p, hold{addr, 1})
	}
	p.tell(w, r, nil)
}

// heldBy notes slots that another engine has in use.
func (p *pool) heldBy(by *link, h hold) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byAddress(h.addr)
	for range h.n {
		r.take(by)
	}
}

// returnedBy frees a slot that another engine had.
func (p *pool) returnedBy(by *link, addr string, v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byAddress(addr)
	if r.theirs[by] == 0 {
		if r.gone && r.inFlight == 0 {
			delete(p.lingering, addr)
		}
		return
	}
	r.theirs[by]--
	p.free(r, v)
}

// forgetLink frees what an engine that went away had.
func (p *pool) forgetLink(gone *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	each := func(r *replica) {
		r.inFlight -= r.theirs[gone]
		delete(r.theirs, gone)
	}
	for _, r := range p.replicas {
		each(r)
	}
	for addr, r := range p.lingering {
		if each(r); r.inFlight == 0 {
			delete(p.lingering, addr)
		}
	}
	if p.granter == nil {
		p.dispatch()
	}
}
