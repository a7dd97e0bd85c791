package engine

import (
	"context"
	"errors"
	"time"
)

// dispatch runs the call on a replica with room, and on another one when the
// first surely did not start it. The time-out counts from the call's arrival.
func (e *Engine) dispatch(ctx context.Context, c *call, body *buffer) (result, *failure) {
	pool := c.route.pool
	deadline := c.deadline()
	queued := time.Now()
	head := newBuffer(1024 + smallBody)
	defer head.release()
	for tries := 0; ; tries++ {
		rep, err := pool.wait(ctx, c.keyID, deadline, tries > 0)
		c.wait = time.Since(queued)
		if err != nil {
			return result{}, c.notServed(err)
		}
		started := time.Now()
		a, err := e.runOn(ctx, c, rep, deadline, head, body)
		c.run = time.Since(started)
		switch _, notStarted := errors.AsType[notStartedError](err); {
		case err == nil:
			return c.read(a)
		case !notStarted:
			return result{}, c.failedExchange(ctx, err)
		case ctx.Err() != nil:
			return result{}, c.notServed(errCallerGone)
		case !time.Now().Before(deadline):
			return result{}, timedOut()
		}
	}
}

// runOn exchanges the call with one replica and gives its slot back. The
// error is a notStartedError when another replica may be tried.
func (e *Engine) runOn(ctx context.Context, c *call, rep *replica, deadline time.Time, head *buffer, body *buffer) (answer, error) {
	said := verdictFine
	defer func() { c.route.pool.release(rep, said) }()
	c.replica = rep.addr
	rep.runs(c)
	exchange := ctx
	langserver := c.route.isLangserver()
	if langserver {
		// A langserver cannot cancel: the call runs on when its caller leaves,
		// and holds its slot until it ends.
		exchange = context.WithoutCancel(ctx)
	}
	head.b = c.appendHead(head.b[:0], rep.addr, len(body.b))
	a, err := rep.exchange(exchange, deadline, head, body.b, c.replyLimit())
	if err == nil {
		return a, nil
	}
	if _, ok := errors.AsType[notStartedError](err); ok {
		// A caller who left, or had no time left, says nothing of the replica.
		if ctx.Err() == nil && time.Now().Before(deadline) {
			e.log.Warn("the replica refused the connection", "request_id", c.id, "algorithm", c.route.VanityURL, "replica", rep.addr, "error", err)
			said = verdictRefused
		}
	} else if errors.Is(err, errTimedOut) {
		said = e.timedOutOn(c, rep)
	}
	return answer{}, err
}

// timedOutOn says what becomes of a replica whose call timed out: a
// langserver cannot cancel, so its process is ended.
func (e *Engine) timedOutOn(c *call, rep *replica) verdict {
	if !c.route.isLangserver() {
		return verdictFine
	}
	e.log.Warn("the call timed out: ending its replica", "request_id", c.id, "algorithm", c.route.VanityURL, "replica", rep.addr)
	return verdictEnd
}

// failedExchange makes a failure of an exchange that started and broke.
func (c *call) failedExchange(ctx context.Context, err error) *failure {
	switch {
	case errors.Is(err, errTimedOut):
		return timedOut()
	case errors.Is(err, errTooLarge):
		return tooLarge()
	case ctx.Err() != nil && !c.route.isLangserver():
		return c.notServed(errCallerGone)
	}
	return lost(err)
}
