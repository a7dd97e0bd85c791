package pool

import "slices"

// queue holds an algorithm's waiting calls: first come first served among the
// calls of one API key, and turn by turn between keys, so that no key's flood
// makes another key's calls wait longer than their share (start-time fair
// queueing with equal weights). With one key it is a plain first-come queue.
type queue struct {
	n       int
	front   []*Waiter // calls that come back from a replica that refused them
	keys    map[string]*keyQueue
	active  []*keyQueue // those with calls
	virtual float64     // the tag of the call that was served last
	arrived uint64
	rounds  uint64 // quiet moments, after which all keys are equal again
}

// keyQueue is one key's calls. finish is the tag of its next call, in a round.
type keyQueue struct {
	calls  []*Waiter
	finish float64
	round  uint64
}

// keysKept is how many keys without waiting calls are kept for their next
// ones.
const keysKept = 64

// push adds a call. When limit calls wait already, the newest call of the key
// with the most gives way to a key with fewer, and is returned; without such a
// key the call itself is refused.
func (q *queue) push(w *Waiter, limit int) (evicted *Waiter, err error) {
	if w.Retry {
		q.front = append(q.front, w)
		q.n++
		return nil, nil
	}
	own := q.keys[w.Key]
	if own == nil {
		own = &keyQueue{}
		if q.keys == nil {
			q.keys = map[string]*keyQueue{}
		}
		q.keys[w.Key] = own
	}
	if own.round != q.rounds {
		own.round, own.finish = q.rounds, 0
	}
	if q.n >= limit {
		most := q.longest()
		if most == nil || len(most.calls) <= len(own.calls)+1 {
			return nil, ErrQueueFull
		}
		evicted = most.calls[len(most.calls)-1]
		most.finish--
		q.remove(evicted)
	}
	q.arrived++
	w.arrived = q.arrived
	w.tag = max(q.virtual, own.finish)
	own.finish = w.tag + 1
	if len(own.calls) == 0 {
		q.active = append(q.active, own)
	}
	own.calls = append(own.calls, w)
	q.n++
	return evicted, nil
}

// longest returns the key with the most calls that wait.
func (q *queue) longest() *keyQueue {
	var most *keyQueue
	for _, k := range q.active {
		if most == nil || len(k.calls) > len(most.calls) {
			most = k
		}
	}
	return most
}

// pop removes and returns the call whose turn it is; nil when none waits.
func (q *queue) pop() *Waiter {
	if len(q.front) > 0 {
		w := q.front[0]
		q.front = slices.Delete(q.front, 0, 1)
		q.n--
		return w
	}
	var next *Waiter
	for _, k := range q.active {
		if w := k.calls[0]; next == nil || w.tag < next.tag || w.tag == next.tag && w.arrived < next.arrived {
			next = w
		}
	}
	if next != nil {
		q.virtual = next.tag
		q.remove(next)
	}
	return next
}

// remove removes a call, wherever in the queue it is.
func (q *queue) remove(w *Waiter) {
	if i := slices.Index(q.front, w); i >= 0 {
		q.front = slices.Delete(q.front, i, i+1)
		q.n--
		return
	}
	k := q.keys[w.Key]
	if k == nil {
		return
	}
	i := 0
	if k.calls[0] != w {
		i = slices.Index(k.calls, w)
	}
	if i < 0 {
		return
	}
	if i == 0 {
		k.calls[0] = nil
		k.calls = k.calls[1:]
	} else {
		k.calls = slices.Delete(k.calls, i, i+1)
	}
	q.n--
	if len(k.calls) == 0 {
		k.calls = k.calls[:0]
		at := slices.Index(q.active, k)
		q.active = slices.Delete(q.active, at, at+1)
	}
	if len(q.active) == 0 { // a quiet moment
		q.virtual = 0
		q.rounds++
		if len(q.keys) > keysKept {
			clear(q.keys)
		}
	}
}
