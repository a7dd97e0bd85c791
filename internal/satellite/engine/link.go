package engine

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"time"
)

// link is a connection to another engine of the satellite. Over it each asks
// the other for slots of the algorithms that the other grants. Only these
// words go over it: calls go straight to the replicas.
type link struct {
	wire
	peers  *peers
	id     string // the other engine's
	dialed string // the id of the one who dialed

	mu       sync.Mutex
	number   uint64
	pending  map[uint64]question // ours, unanswered
	theirs   map[uint64]question // theirs, which wait here
	draining bool
	closed   bool
	told     string // the other engine's stats.Snapshot, as it came
}

type question struct {
	p *pool
	w *waiter
}

// word is the kind of a message.
type word byte

const (
	wordAsk    word = iota + 1 // number, algorithm, text: the key; n: 1 when again
	wordGrant                  // number, algorithm, text: the replica
	wordRefuse                 // number, n: why
	wordForget                 // number
	wordReturn                 // algorithm, text: the replica; n: the verdict
	wordHold                   // algorithm, text: the replica; n: how many
	wordState                  // n: 1 when draining
	wordStats                  // text: a stats.Snapshot; also says that the engine lives
	wordSpent                  // text: the id of a key that has a rate, with which a call came
)

type message struct {
	word      word
	number    uint64
	algorithm string
	text      string
	n         uint64
}

// refusals are the errors that go over a link, by number.
var refusals = []error{errNoReplica, errQueueFull, errRouteClosed, errMoved}

const (
	maxMessage64 = 8 << 20
	linkSilence  = 5 * time.Second
	linkTells    = time.Second
)

func newLink(p *peers, id, dialed string, conn net.Conn, in *bufio.Reader) *link {
	l := &link{wire: newWire(conn, in), peers: p, id: id, dialed: dialed, pending: map[uint64]question{}, theirs: map[uint64]question{}}
	l.wire.take = l.take
	return l
}

func (l *link) take(m message) error {
	switch m.word {
	case wordGrant, wordRefuse:
		l.answered(m)
		return nil
	case wordForget:
		l.mu.Lock()
		q, ok := l.theirs[m.number]
		delete(l.theirs, m.number)
		l.mu.Unlock()
		if ok {
			q.p.cancel(q.w) // when it was granted meanwhile, the slot comes back
		}
		return nil
	case wordState:
		l.mu.Lock()
		l.draining = m.n == 1
		l.mu.Unlock()
		l.peers.assign()
		return nil
	case wordStats:
		l.mu.Lock()
		l.told = m.text
		l.mu.Unlock()
		return nil
	case wordSpent:
		l.peers.e.holder.spent(m.text, l.peers.e.now())
		return nil
	}
	p := l.peers.pool(m.algorithm)
	switch {
	case p == nil && m.word == wordAsk: // we have not read the new routes yet, or it has not
		l.refuse(m.number, errMoved)
	case p == nil:
	case m.word == wordAsk:
		l.asked(p, m)
	case m.word == wordReturn:
		p.returnedBy(l, m.text, verdict(m.n))
	case m.word == wordHold:
		p.heldBy(l, hold{m.text, int(min(m.n, 1<<16))})
	default:
		return errGarbled
	}
	return nil
}

// ask asks the other engine for a slot, with p's lock held.
func (l *link) ask(p *pool, w *waiter) {
	l.mu.Lock()
	l.number++
	w.of, w.number = l, l.number
	closed := l.closed
	if !closed {
		l.pending[w.number] = question{p, w}
	}
	l.mu.Unlock()
	if closed {
		number := w.number
		go p.askAgain(w, number, l)
		return
	}
	again := uint64(0)
	if w.again {
		again = 1
	}
	l.send(message{word: wordAsk, number: w.number, algorithm: p.name, text: w.key, n: again})
}

// forget takes a question back, with p's lock held.
func (l *link) forget(_ *pool, w *waiter) {
	l.mu.Lock()
	delete(l.pending, w.number)
	l.mu.Unlock()
	l.send(message{word: wordForget, number: w.number})
}

// gaveBack tells the granter that a slot is free.
func (l *link) gaveBack(p *pool, addr string, v verdict) {
	l.send(message{word: wordReturn, algorithm: p.name, text: addr, n: uint64(v)})
}

// hold tells the granter of slots that are in use.
func (l *link) hold(p *pool, h hold) {
	l.send(message{word: wordHold, algorithm: p.name, text: h.addr, n: uint64(h.n)})
}

func (l *link) refuse(number uint64, err error) {
	reason := 0
	for i, known := range refusals {
		if errors.Is(err, known) {
			reason = i
		}
	}
	l.send(message{word: wordRefuse, number: number, n: uint64(reason)})
}

// answered is the other engine's answer to a question of ours.
func (l *link) answered(m message) {
	l.mu.Lock()
	q, ok := l.pending[m.number]
	delete(l.pending, m.number)
	l.mu.Unlock()
	var err error
	if m.word == wordRefuse {
		err = refusals[min(int(m.n), len(refusals)-1)]
	}
	switch {
	case ok:
		q.p.grantedBy(l, q.w, m.number, m.text, err)
	case err == nil: // the caller left, or ran out of time
		l.send(message{word: wordReturn, algorithm: m.algorithm, text: m.text, n: uint64(verdictFine)})
	}
}

// theirCall is a question of the other engine that waits in our queue.
type theirCall struct {
	l      *link
	p      *pool
	number uint64
}

func (t *theirCall) granted(r *replica, err error) {
	t.l.mu.Lock()
	delete(t.l.theirs, t.number)
	t.l.mu.Unlock()
	if err != nil {
		t.l.refuse(t.number, err)
		return
	}
	t.l.send(message{word: wordGrant, number: t.number, algorithm: t.p.name, text: r.addr})
}

// asked is a question of the other engine.
func (l *link) asked(p *pool, m message) {
	t := &theirCall{l: l, p: p, number: m.number}
	w := &waiter{to: t, key: m.text, again: m.n == 1, from: l}
	l.mu.Lock()
	l.theirs[m.number] = question{p, w}
	l.mu.Unlock()
	if r, err := p.acquire(w); r != nil || err != nil {
		t.granted(r, err)
	}
}

// end gives up the link: what the other engine had is free, and our
// questions are asked again elsewhere.
func (l *link) end() {
	l.mu.Lock()
	l.closed = true
	pending, theirs := l.pending, l.theirs
	l.pending, l.theirs = nil, nil
	l.mu.Unlock()
	l.peers.remove(l)
	for _, q := range theirs {
		q.p.cancel(q.w)
	}
	for _, p := range l.peers.pools() {
		p.forgetLink(l)
	}
	for number, q := range pending {
		q.p.askAgain(q.w, number, l)
	}
}
