package engine

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Why a call got no replica.
var (
	errQueueFull   = errors.New("the queue is full")
	errNoReplica   = errors.New("no replica is ready")
	errWaitedOut   = errors.New("the call's time-out passed in the queue")
	errCallerGone  = errors.New("the caller went away")
	errRouteClosed = errors.New("the algorithm was removed")
)

// asideFor is how long a replica that refused a connection gets no new calls.
const asideFor = time.Second

// pool hands an algorithm's calls to its replicas: never more at once than a
// replica's concurrency, first come first served, to the replica with the
// fewest calls. Each algorithm has its own, and so its own lock.
type pool struct {
	mu          sync.Mutex
	concurrency int
	limit       int
	replicas    []*replica
	lingering   map[string]*replica // gone from the endpoints with calls in flight
	turn        int                 // where the search starts, so that equals take turns
	first, last *waiter
	queued      int
	closed      bool
}

// waiter is a call in the queue. granted is told a replica, or nil when the
// algorithm is removed.
type waiter struct {
	granted    chan *replica
	prev, next *waiter
	in         bool
}

func newPool(concurrency, limit int) *pool {
	return &pool{concurrency: concurrency, limit: limit, lingering: map[string]*replica{}}
}

// acquire takes a slot of a replica, waiting for one in the queue until
// deadline or the caller goes. A call that comes back because its replica
// refused it (again) waits at the front and is never refused for length.
func (p *pool) acquire(ctx context.Context, deadline time.Time, again bool) (*replica, error) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, errRouteClosed
	}
	best, usable := p.pick()
	if usable == 0 {
		p.mu.Unlock()
		return nil, errNoReplica
	}
	if best != nil && (p.first == nil || again) {
		best.inFlight++
		p.mu.Unlock()
		return best, nil
	}
	if p.queued >= p.limit && !again {
		p.mu.Unlock()
		return nil, errQueueFull
	}
	w := &waiter{granted: make(chan *replica, 1)}
	p.push(w, again)
	p.mu.Unlock()
	return p.wait(ctx, deadline, w)
}

func (p *pool) wait(ctx context.Context, deadline time.Time, w *waiter) (*replica, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	var err error
	select {
	case r := <-w.granted:
		if r == nil {
			return nil, errRouteClosed
		}
		return r, nil
	case <-ctx.Done():
		err = errCallerGone
	case <-timer.C:
		err = errWaitedOut
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.in {
		p.remove(w)
		if _, usable := p.pick(); usable == 0 && errors.Is(err, errWaitedOut) {
			err = errNoReplica
		}
		return nil, err
	}
	if r := <-w.granted; r != nil { // granted in the same moment: pass it on
		p.free(r)
	}
	return nil, err
}

// release gives a slot back and hands it to whoever waits longest.
func (p *pool) release(r *replica) {
	p.mu.Lock()
	p.free(r)
	p.mu.Unlock()
}

func (p *pool) free(r *replica) {
	r.inFlight--
	if r.gone && r.inFlight == 0 {
		delete(p.lingering, r.addr)
		return
	}
	p.dispatch()
}

// pick gives the usable replica with room and the fewest calls, or nil, and
// how many replicas are usable.
func (p *pool) pick() (best *replica, usable int) {
	n := len(p.replicas)
	if n == 0 {
		return nil, 0
	}
	p.turn++
	if p.turn >= n {
		p.turn = 0
	}
	for i := range n {
		at := p.turn + i
		if at >= n {
			at -= n
		}
		r := p.replicas[at]
		if r.withheld || r.aside {
			continue
		}
		usable++
		if r.inFlight < p.concurrency && (best == nil || r.inFlight < best.inFlight) {
			best = r
		}
	}
	return best, usable
}

// dispatch serves the queue while there is room.
func (p *pool) dispatch() {
	for p.first != nil {
		best, _ := p.pick()
		if best == nil {
			return
		}
		w := p.first
		p.remove(w)
		best.inFlight++
		w.granted <- best
	}
}

// setReplicas makes addresses the algorithm's replicas. One that is no longer
// there gets no new calls; one that comes back still holds the calls it had.
func (p *pool) setReplicas(addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := make(map[string]*replica, len(p.replicas))
	for _, r := range p.replicas {
		old[r.addr] = r
	}
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
}

// configure takes a reloaded route's limits.
func (p *pool) configure(concurrency, limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.concurrency, p.limit = concurrency, limit
	p.dispatch()
}

// close refuses every call that waits or comes; those in flight finish.
func (p *pool) close() {
	p.setReplicas(nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for p.first != nil {
		w := p.first
		p.remove(w)
		w.granted <- nil
	}
}

// putAside gives r no new calls for a moment after it refused a connection.
func (p *pool) putAside(r *replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.aside {
		return
	}
	r.aside = true
	time.AfterFunc(asideFor, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		r.aside = false
		p.dispatch()
	})
}

// withhold gives r no new calls until readmit; false when it was withheld
// already.
func (p *pool) withhold(r *replica) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.withheld || r.gone {
		return false
	}
	r.withheld = true
	return true
}

// readmit ends a withholding.
func (p *pool) readmit(r *replica) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.withheld = false
	p.dispatch()
}

// isWithheld says whether r is a replica of p that still waits for readmit.
func (p *pool) isWithheld(r *replica) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return r.withheld && !r.gone && !p.closed
}

// poolState is what metrics show of a pool.
type poolState struct{ known, ready, inFlight, queued int }

func (p *pool) state() poolState {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := poolState{known: len(p.replicas), queued: p.queued}
	for _, r := range p.replicas {
		if !r.withheld && !r.aside {
			s.ready++
		}
		s.inFlight += r.inFlight
	}
	for _, r := range p.lingering {
		s.inFlight += r.inFlight
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

func (p *pool) push(w *waiter, front bool) {
	w.in = true
	p.queued++
	switch {
	case p.first == nil:
		p.first, p.last = w, w
	case front:
		w.next, p.first.prev = p.first, w
		p.first = w
	default:
		w.prev, p.last.next = p.last, w
		p.last = w
	}
}

func (p *pool) remove(w *waiter) {
	w.in = false
	p.queued--
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		p.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		p.last = w.prev
	}
	w.prev, w.next = nil, nil
}
