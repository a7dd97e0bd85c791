package pool

import (
	"errors"
	"sync"
	"time"
)

// Why a call got no slot.
var (
	ErrQueueFull   = errors.New("the queue is full")
	ErrNoReplica   = errors.New("no replica is ready")
	ErrWaitTimeout = errors.New("the call's time-out passed in the queue")
	ErrCallerGone  = errors.New("the caller went away")
	ErrClosed      = errors.New("the algorithm was removed")
	ErrMoved       = errors.New("another engine hands out the slots now")
)

const (
	// ejectFor is how long a replica that refused a connection gets no new calls.
	ejectFor = time.Second
	// slowStart is how long a replica that joins others takes to get as many
	// calls at once as they do.
	slowStart = 10 * time.Second
	rampEvery = 200 * time.Millisecond
)

// Outcome is what a call learned of its replica, reported when its slot is
// released. The values go over the engines' links: they never change.
type Outcome byte

// The outcomes.
const (
	OutcomeOK      Outcome = iota
	OutcomeRefused         // the replica did not take the connection
	OutcomeStuck           // the call timed out and runs on: the process has to be replaced
)

// Options are what a pool is made with.
type Options struct {
	Algorithm string // the vanity URL, by which peers know it
	Limits    Limits

	// Connect returns the connections of a new replica, which is called with
	// nothing connected yet. Nil connects nothing.
	Connect func(addr string) Connections
	// Restart begins to replace the process of a replica on which a call is
	// stuck, and has Readmit called once the new one serves. It is called with
	// the pool's lock held. Nil leaves such replicas in service.
	Restart func(*Replica)
	// Starved is called, with the pool's lock held, when a call waits and no
	// replica is usable. Nil is nothing.
	Starved func()
}

// Limits may change while a pool works.
type Limits struct {
	Concurrency int // calls at once a replica
	QueueLimit  int // synchronous calls that wait at once
	// SharePercent is the part of the slots that durable calls get though
	// synchronous ones wait. 0 is DefaultShare.
	SharePercent int
	// WaitForReplicas lets calls wait, until their deadline, though no replica
	// is usable: one is to be started. Without it they get ErrNoReplica.
	WaitForReplicas bool
}

// Pool hands out the slots of one algorithm's replicas.
type Pool struct {
	algorithm string
	connect   func(addr string) Connections
	restart   func(*Replica)
	starved   func()

	mu        sync.Mutex
	limits    Limits
	replicas  []*Replica
	lingering map[string]*Replica // not in the endpoints, with calls in flight
	turn      int                 // where the search starts, so that equals take turns
	held      counts              // slots that calls of all engines have, as far as we know
	queue     queue               // synchronous calls
	durable   durable
	recent    demand
	waiting   counts // our own calls that wait, here or at the slot owner
	looking   int    // of those, durable ones that may be none
	owner     Peer   // nil is this engine
	closed    bool
	ramping   bool

	after func(time.Duration, func()) // time.AfterFunc, or a test's
}

// New returns a pool without replicas.
func New(o Options) *Pool {
	return &Pool{
		algorithm: o.Algorithm, connect: o.Connect, restart: o.Restart, starved: o.Starved,
		limits: o.Limits.withDefaults(), lingering: map[string]*Replica{},
		after: func(d time.Duration, f func()) { time.AfterFunc(d, f) },
	}
}

// Algorithm returns the vanity URL of the pool's algorithm.
func (p *Pool) Algorithm() string { return p.algorithm }

// Acquire returns a replica of which w has a slot from now on, or an error, or
// neither: then w waits, and its caller is notified.
func (p *Pool) Acquire(w *Waiter) (*Replica, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, err := p.acquire(w)
	if w.state != notWaiting {
		p.countWaiter(w, 1)
	}
	return r, err
}

func (p *Pool) acquire(w *Waiter) (*Replica, error) {
	if p.closed {
		return nil, ErrClosed
	}
	if p.owner != nil {
		if w.Borrower != nil {
			return nil, ErrMoved
		}
		p.askOwner(w)
		return nil, nil
	}
	best, usable := p.pick()
	if w.Class == ClassDurable {
		return p.acquireDurable(w, best, usable)
	}
	if usable == 0 && !p.limits.WaitForReplicas {
		return nil, ErrNoReplica
	}
	if best != nil && (p.queue.n == 0 || w.Retry) {
		p.grant(w, best)
		if p.durable.n() > 0 {
			p.serveQueue() // the grant may have made it a durable call's turn
		}
		return best, nil
	}
	evicted, err := p.queue.push(w, p.limits.QueueLimit)
	if evicted != nil {
		p.notify(evicted, nil, ErrQueueFull)
	}
	if err != nil {
		return nil, err
	}
	w.state = inQueue
	p.noteDemand()
	p.noteStarved(usable)
	return nil, nil
}

// countWaiter counts what begins or ends to wait.
func (p *Pool) countWaiter(w *Waiter, n int) {
	if w.Borrower != nil {
		return
	}
	p.waiting[w.Class] += n
	if w.Looking {
		p.looking += n
	}
}

// noteStarved says that calls wait for which there is no replica.
func (p *Pool) noteStarved(usable int) {
	if usable == 0 && p.queue.n+p.durable.n() > 0 && p.starved != nil && !p.closed {
		p.starved()
	}
}

// notify ends w's wait.
func (p *Pool) notify(w *Waiter, r *Replica, err error) {
	w.state = notWaiting
	p.countWaiter(w, -1)
	w.Caller.OnSlot(r, err)
}

// Cancel ends w's wait without a notification. It reports false when w's caller
// was notified already.
func (p *Pool) Cancel(w *Waiter) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch w.state {
	case inQueue:
		if w.Class == ClassDurable {
			p.durable.remove(w)
		} else {
			p.queue.remove(w)
		}
	case atOwner:
		w.owner.Cancel(w.request)
	default:
		return false
	}
	w.state = notWaiting
	p.countWaiter(w, -1)
	return true
}

// Usable reports whether any replica takes calls.
func (p *Pool) Usable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, usable := p.pick()
	return usable > 0
}

// Release frees a slot of r that a call of this engine had.
func (p *Pool) Release(r *Replica, c Class, o Outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.own[c]--
	if p.owner != nil {
		p.owner.Release(p, r.addr, c, o)
	}
	for former, n := range r.former {
		if n[c] <= r.own[c] {
			continue // perhaps a call that it does not count
		}
		former.Release(p, r.addr, c, OutcomeOK)
		if n[c]--; n == (counts{}) {
			delete(r.former, former)
		} else {
			r.former[former] = n
		}
	}
	p.free(r, c, o)
}

// free takes a call off r and hands its slot to whoever's turn it is.
func (p *Pool) free(r *Replica, c Class, o Outcome) {
	r.inFlight[c]--
	p.held[c]--
	if r.gone {
		if r.calls() == 0 {
			delete(p.lingering, r.addr)
		}
		return
	}
	if p.owner != nil {
		return
	}
	switch o {
	case OutcomeRefused:
		p.eject(r)
	case OutcomeStuck:
		if !r.quarantined && p.restart != nil {
			r.quarantined = true
			p.restart(r)
		}
	}
	p.serveQueue()
}

// pick returns the usable replica with a free slot and the fewest calls, or nil,
// and how many replicas are usable.
func (p *Pool) pick() (best *Replica, usable int) {
	n := len(p.replicas)
	if n == 0 {
		return nil, 0
	}
	p.turn++
	if p.turn >= n {
		p.turn = 0
	}
	fewest := 0
	for i := range n {
		at := p.turn + i
		if at >= n {
			at -= n
		}
		r := p.replicas[at]
		if r.quarantined || r.ejected {
			continue
		}
		usable++
		if calls := r.calls(); calls < p.slots(r) && (best == nil || calls < fewest) {
			best, fewest = r, calls
		}
	}
	return best, usable
}

// serveQueue hands free slots to the calls that wait.
func (p *Pool) serveQueue() {
	for p.queue.n > 0 || p.durable.n() > 0 {
		best, usable := p.pick()
		if best == nil {
			p.noteStarved(usable)
			return
		}
		var w *Waiter
		if p.durable.n() > 0 && p.durableTurn() {
			w = p.durable.pop()
		} else if w = p.queue.pop(); w == nil {
			return
		}
		p.grant(w, best)
		p.notify(w, best, nil)
	}
}

// grant gives w a slot of r.
func (p *Pool) grant(w *Waiter, r *Replica) {
	p.claim(r, w.Borrower, w.Class)
	p.countTurn(w.Class)
	if w.Class == ClassSync {
		p.noteDemand()
	}
}
