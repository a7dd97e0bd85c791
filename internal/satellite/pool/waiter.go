package pool

import (
	"context"
	"errors"
	"time"
)

// Caller is notified when its wait for a slot ends.
type Caller interface {
	// OnSlot is called with the replica of which the call has a slot now, or
	// with why it has none. The pool's lock is held: it must neither block nor
	// call the pool.
	OnSlot(r *Replica, err error)
}

// Waiter is a call that wants a slot. Its fields are set before Acquire, and the
// zero value of any but Caller will do.
type Waiter struct {
	Caller   Caller
	Key      string // the API key's ID
	Borrower Peer   // whose call it is; nil is this engine
	Retry    bool   // the call comes back from a replica that refused it
	Class    Class  // who waits for its answer
	Looking  bool   // it is not known yet whether there is a call for the slot

	state   waitState
	moved   uint8  // how often an engine that is no owner was asked, up to 4
	owner   Peer   // that was asked
	request uint64 // as the owner numbers it
	tag     float64
	arrived uint64
}

type waitState byte

const (
	notWaiting waitState = iota
	inQueue              // of this pool
	atOwner              // of the slots
)

// waitsAt reports whether w still waits for the owner's answer to that request.
func (w *Waiter) waitsAt(owner Peer, request uint64) bool {
	return w.state == atOwner && w.owner == owner && w.request == request
}

// blocked is a caller whose goroutine waits.
type blocked chan slot

type slot struct {
	r   *Replica
	err error
}

func (b blocked) OnSlot(r *Replica, err error) { b <- slot{r, err} }

// Wait acquires a slot, and waits for it until deadline or until ctx ends. A
// retry waits at the front, and is never refused for the queue's length.
func (p *Pool) Wait(ctx context.Context, key string, deadline time.Time, retry bool) (*Replica, error) {
	return p.wait(ctx, &Waiter{Key: key, Retry: retry}, deadline)
}

// WaitDurable acquires a slot for a durable call, and waits for it until deadline,
// which may be zero, or until ctx ends. No replica is a reason to give up for a
// retry alone.
func (p *Pool) WaitDurable(ctx context.Context, deadline time.Time, retry bool) (*Replica, error) {
	return p.wait(ctx, &Waiter{Class: ClassDurable, Retry: retry}, deadline)
}

// Reserve acquires a slot for a durable call that is still in the queue, and waits
// for it until ctx ends. Looking says that there may be none.
func (p *Pool) Reserve(ctx context.Context, looking bool) (*Replica, error) {
	return p.wait(ctx, &Waiter{Class: ClassDurable, Looking: looking}, time.Time{})
}

func (p *Pool) wait(ctx context.Context, w *Waiter, deadline time.Time) (*Replica, error) {
	notified := make(blocked, 1)
	w.Caller = notified
	if r, err := p.Acquire(w); r != nil || err != nil {
		return r, err
	}
	var timeout <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		timeout = timer.C
	}
	var err error
	select {
	case s := <-notified:
		return s.r, s.err
	case <-ctx.Done():
		err = ErrCallerGone
	case <-timeout:
		err = ErrWaitTimeout
	}
	if !p.Cancel(w) { // notified in the same moment: pass the slot on
		if s := <-notified; s.r != nil {
			p.Release(s.r, w.Class, OutcomeOK)
		}
		return nil, err
	}
	if errors.Is(err, ErrWaitTimeout) && !p.Usable() {
		err = ErrNoReplica
	}
	return nil, err
}
