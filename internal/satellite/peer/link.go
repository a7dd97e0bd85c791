package peer

import (
	"errors"
	"sync"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
)

// link is a connection to another engine of the satellite. Over it each asks the
// other for slots of the algorithms that the other owns. It is the pool.Peer of
// that engine.
type link struct {
	*Conn
	mesh   *Mesh
	id     string // the other engine's
	dialer string // the ID of the one who dialed

	mu       sync.Mutex
	requests uint64              // how many we sent
	ours     map[uint64]acquired // our requests, unanswered
	theirs   map[uint64]acquired // their requests, which wait here
	draining bool
	closed   bool
	report   string // the other engine's last
}

// acquired is a request for a slot.
type acquired struct {
	p *pool.Pool
	w *pool.Waiter
}

func newLink(m *Mesh, id, dialer string, c *Conn) *link {
	l := &link{Conn: c, mesh: m, id: id, dialer: dialer, ours: map[uint64]acquired{}, theirs: map[uint64]acquired{}}
	c.on = l.onMessage
	return l
}

func (l *link) onMessage(m message) error {
	switch m.kind {
	case kindGrant, kindRefuse:
		l.onAnswer(m)
	case kindCancel:
		l.onCancel(m)
	case kindState:
		l.mu.Lock()
		l.draining = m.n == 1
		l.mu.Unlock()
		l.mesh.AssignOwners()
	case kindReport:
		l.mu.Lock()
		l.report = m.text
		l.mu.Unlock()
	case kindSpent:
		l.mesh.opts.Host.OnSpent(m.text)
	default:
		return l.onSlots(m)
	}
	return nil
}

// onSlots takes what a message says of an algorithm's slots that we own.
func (l *link) onSlots(m message) error {
	p := l.mesh.opts.Host.Pool(m.algorithm)
	switch {
	case p == nil && m.kind == kindAcquire: // we have not read the new routes yet, or it has not
		l.refuse(m.request, pool.ErrMoved)
	case p == nil:
	case m.kind == kindAcquire:
		l.onAcquire(p, m)
	case m.kind == kindRelease:
		p.OnRelease(l, m.text, classOf(m.request), pool.Outcome(m.n))
	case m.kind == kindClaim:
		p.OnClaim(l, m.text, classOf(m.request), int(min(m.n, maxClaim)))
	default:
		return errGarbled
	}
	return nil
}

func (l *link) isDraining() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.draining
}

// Acquire asks the other engine for a slot.
func (l *link) Acquire(p *pool.Pool, w *pool.Waiter) (request uint64) {
	l.mu.Lock()
	l.requests++
	request = l.requests
	closed := l.closed
	if !closed {
		l.ours[request] = acquired{p, w}
	}
	l.mu.Unlock()
	if closed {
		go p.Reacquire(l, w, request)
		return request
	}
	l.send(message{kind: kindAcquire, request: request, algorithm: p.Algorithm(), text: w.Key, n: acquireFlags(w)})
	return request
}

// Cancel takes a request back.
func (l *link) Cancel(request uint64) {
	l.mu.Lock()
	delete(l.ours, request)
	l.mu.Unlock()
	l.send(message{kind: kindCancel, request: request})
}

// Claim tells the slot owner of slots that are in use.
func (l *link) Claim(p *pool.Pool, addr string, c pool.Class, n int) {
	l.send(message{kind: kindClaim, request: uint64(c), algorithm: p.Algorithm(), text: addr, n: uint64(n)})
}

// Release tells the slot owner that a slot is free.
func (l *link) Release(p *pool.Pool, addr string, c pool.Class, o pool.Outcome) {
	l.send(message{kind: kindRelease, request: uint64(c), algorithm: p.Algorithm(), text: addr, n: uint64(o)})
}

// onAnswer takes the other engine's answer to a request of ours.
func (l *link) onAnswer(m message) {
	l.mu.Lock()
	a, ok := l.ours[m.request]
	delete(l.ours, m.request)
	l.mu.Unlock()
	var err error
	if m.kind == kindRefuse {
		err = refusals[min(m.n, uint64(len(refusals)-1))]
	}
	switch {
	case ok:
		a.p.OnAnswer(l, a.w, m.request, m.text, err)
	case err == nil: // the caller left, or ran out of time
		l.send(message{kind: kindRelease, request: uint64(classOf(m.n)), algorithm: m.algorithm, text: m.text, n: uint64(pool.OutcomeOK)})
	}
}

// onAcquire takes a request of the other engine.
func (l *link) onAcquire(p *pool.Pool, m message) {
	answer := &answerer{l: l, p: p, request: m.request}
	w := &pool.Waiter{Caller: answer, Key: m.text, Retry: m.n&flagRetry != 0, Borrower: l}
	if m.n&flagDurable != 0 {
		w.Class = pool.ClassDurable
	}
	answer.class = w.Class
	l.mu.Lock()
	l.theirs[m.request] = acquired{p, w}
	l.mu.Unlock()
	if r, err := p.Acquire(w); r != nil || err != nil {
		answer.OnSlot(r, err)
	}
}

func (l *link) onCancel(m message) {
	l.mu.Lock()
	a, ok := l.theirs[m.request]
	delete(l.theirs, m.request)
	l.mu.Unlock()
	if ok {
		a.p.Cancel(a.w) // when it was granted meanwhile, the slot comes back
	}
}

// answerer answers a request of the other engine.
type answerer struct {
	l       *link
	p       *pool.Pool
	request uint64
	class   pool.Class
}

// OnSlot sends the answer.
func (a *answerer) OnSlot(r *pool.Replica, err error) {
	a.l.mu.Lock()
	delete(a.l.theirs, a.request)
	a.l.mu.Unlock()
	if err != nil {
		a.l.refuse(a.request, err)
		return
	}
	a.l.send(message{kind: kindGrant, request: a.request, algorithm: a.p.Algorithm(), text: r.Addr(), n: uint64(a.class)})
}

func (l *link) refuse(request uint64, err error) {
	reason := 0
	for i, known := range refusals {
		if errors.Is(err, known) {
			reason = i
		}
	}
	l.send(message{kind: kindRefuse, request: request, n: uint64(reason)})
}

// end gives up the link: what the other engine borrowed is free, and our requests
// are made again elsewhere.
func (l *link) end() {
	l.mu.Lock()
	l.closed = true
	ours, theirs := l.ours, l.theirs
	l.ours, l.theirs = nil, nil
	l.mu.Unlock()
	l.mesh.remove(l)
	for _, a := range theirs {
		a.p.Cancel(a.w)
	}
	for _, p := range l.mesh.opts.Host.Pools() {
		p.OnPeerGone(l)
	}
	for request, a := range ours {
		a.p.Reacquire(l, a.w, request)
	}
}
