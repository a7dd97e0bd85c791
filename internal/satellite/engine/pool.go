package engine

import (
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
	errMoved       = errors.New("another engine hands out the slots now")
)

const (
	// asideFor is how long a replica that refused a connection gets no new calls.
	asideFor = time.Second
	// slowStart is how long a replica that joins others takes to get as many
	// calls at once as they do.
	slowStart = 10 * time.Second
	rampEvery = 200 * time.Millisecond
)

// verdict is what a call says of its replica when it gives the slot back.
type verdict byte

const (
	verdictFine    verdict = iota
	verdictRefused         // it did not take the connection
	verdictEnd             // a call timed out and runs on: the process has to be ended
)

// pool hands an algorithm's calls to its replicas: never more at once than a
// replica's concurrency, over all engines. One engine grants an algorithm's
// slots, and the others ask it (peers.go); a pool whose granter is nil is the
// one that grants. Each algorithm has its own pool, and so its own lock.
type pool struct {
	mu          sync.Mutex
	name        string // the algorithm's vanity URL
	concurrency int
	limit       int
	replicas    []*replica
	lingering   map[string]*replica // not in the endpoints, with calls in flight
	turn        int                 // where the search starts, so that equals take turns
	queue       queue
	waits       int // our own calls that wait, here or at the granter
	granter     *link
	closed      bool
	ramping     bool
	end         func(*replica) // ends a withheld replica and readmits it
}

// grantee is told a replica, or why there is none. It is called with the
// pool's lock held: it must neither block nor call the pool.
type grantee interface {
	granted(r *replica, err error)
}

// waiter is a call that wants a slot.
type waiter struct {
	to    grantee
	key   string // the API key's id
	again bool   // it comes back from a replica that refused it
	from  *link  // the engine that asks; nil is this one

	state   waiting
	of      *link  // the granter that was asked
	number  uint64 // of the question to it
	refused uint8  // by engines that do not grant, up to 4
	tag     float64
	arrived uint64
}

type waiting byte

const (
	notWaiting waiting = iota
	inQueue            // in this pool's queue
	asked              // the granter was asked
)

func newPool(name string, concurrency, limit int) *pool {
	return &pool{name: name, concurrency: concurrency, limit: limit, lingering: map[string]*replica{}}
}

// acquire gives a replica whose slot is w's from now on, or an error, or
// neither: then w waits, and w.to is told.
func (p *pool) acquire(w *waiter) (*replica, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.admit(w)
	if w.state != notWaiting && w.from == nil {
		p.waits++
	}
	return r, err
}

func (p *pool) admit(w *waiter) (*replica, error) {
	if p.closed {
		return nil, errRouteClosed
	}
	if p.granter != nil {
		if w.from != nil {
			return nil, errMoved
		}
		w.state = asked
		p.granter.ask(p, w)
		return nil, nil
	}
	best, usable := p.pick()
	if usable == 0 {
		return nil, errNoReplica
	}
	if best != nil && (p.queue.n == 0 || w.again) {
		best.take(w.from)
		return best, nil
	}
	evicted, err := p.queue.push(w, p.limit)
	if evicted != nil {
		p.tell(evicted, nil, errQueueFull)
	}
	if err != nil {
		return nil, err
	}
	w.state = inQueue
	return nil, nil
}

// tell ends w's waiting.
func (p *pool) tell(w *waiter, r *replica, err error) {
	w.state = notWaiting
	if w.from == nil {
		p.waits--
	}
	w.to.granted(r, err)
}

// cancel ends w's waiting without a word; false when it was told already.
func (p *pool) cancel(w *waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch w.state {
	case inQueue:
		p.queue.remove(w)
	case asked:
		w.of.forget(p, w)
	default:
		return false
	}
	w.state = notWaiting
	if w.from == nil {
		p.waits--
	}
	return true
}

// usable says whether any replica takes calls.
func (p *pool) usable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, usable := p.pick()
	return usable > 0
}

// release gives our slot of r back, with what the call says of r.
func (p *pool) release(r *replica, v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.mine--
	if p.granter != nil {
		p.granter.gaveBack(p, r.addr, v)
	}
	p.free(r, v)
}

// free takes a call off r and hands its slot to whoever's turn it is.
func (p *pool) free(r *replica, v verdict) {
	r.inFlight--
	if r.gone {
		if r.inFlight == 0 {
			delete(p.lingering, r.addr)
		}
		return
	}
	if p.granter != nil {
		return
	}
	switch v {
	case verdictRefused:
		p.putAside(r)
	case verdictEnd:
		if !r.withheld && p.end != nil {
			r.withheld = true
			p.end(r)
		}
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
		if r.inFlight < p.room(r) && (best == nil || r.inFlight < best.inFlight) {
			best = r
		}
	}
	return best, usable
}

// room is how many calls at once r may have: fewer while it is new.
func (p *pool) room(r *replica) int {
	if r.since.IsZero() || p.concurrency == 1 {
		return p.concurrency
	}
	age := time.Since(r.since)
	if age >= slowStart {
		r.since = time.Time{}
		return p.concurrency
	}
	return 1 + int(float64(p.concurrency-1)*float64(age)/float64(slowStart))
}

// ramp looks at the queue again while a new replica's room grows.
func (p *pool) ramp() {
	if p.ramping || p.concurrency == 1 {
		return
	}
	for _, r := range p.replicas {
		if !r.since.IsZero() {
			p.ramping = true
			time.AfterFunc(rampEvery, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.ramping = false
				p.dispatch()
				p.ramp()
			})
			return
		}
	}
}

// dispatch serves the queue while there is room.
func (p *pool) dispatch() {
	for p.queue.n > 0 {
		best, _ := p.pick()
		if best == nil {
			return
		}
		w := p.queue.pop()
		best.take(w.from)
		p.tell(w, best, nil)
	}
}

// putAside gives r no new calls for a moment after it refused a connection.
func (p *pool) putAside(r *replica) {
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

// readmit ends a withholding: the replica's process is a new one.
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
