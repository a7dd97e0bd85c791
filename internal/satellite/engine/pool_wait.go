package engine

import (
	"context"
	"errors"
	"time"
)

// blocked is a waiter's call that a goroutine waits for.
type blocked chan grant

type grant struct {
	r   *replica
	err error
}

func (b blocked) granted(r *replica, err error) { b <- grant{r, err} }

// wait takes a slot of a replica, waiting for one in the queue until deadline
// or the caller goes. A call that comes back because its replica refused it
// (again) waits at the front and is never refused for length.
func (p *pool) wait(ctx context.Context, key string, deadline time.Time, again bool) (*replica, error) {
	told := make(blocked, 1)
	w := &waiter{to: told, key: key, again: again}
	if r, err := p.acquire(w); r != nil || err != nil {
		return r, err
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	var err error
	select {
	case g := <-told:
		return g.r, g.err
	case <-ctx.Done():
		err = errCallerGone
	case <-timer.C:
		err = errWaitedOut
	}
	if !p.cancel(w) { // told in the same moment: pass it on
		if g := <-told; g.r != nil {
			p.release(g.r, verdictFine)
		}
		return nil, err
	}
	if errors.Is(err, errWaitedOut) && !p.usable() {
		err = errNoReplica
	}
	return nil, err
}
