package call

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// phase is where a call is on its way:
//
//	admitted → queued → granted → sent → answered | timed out | caller gone
//
// It goes back from granted to queued when its replica took not one byte of it,
// and may end before it is sent.
type phase byte

const (
	phaseAdmitted   phase = iota // it may be made, or it is not known yet that it may not
	phaseQueued                  // it waits for a slot
	phaseGranted                 // it has a slot, and is not sent yet
	phaseSent                    // its replica has it, or part of it
	phaseAnswered                // its caller is told a result, or why there is none
	phaseTimedOut                // its time-out passed first
	phaseCallerGone              // its caller left first
)

func (p phase) String() string {
	return [...]string{"admitted", "queued", "granted", "sent", "answered", "timed out", "caller gone"}[p]
}

// ended reports whether nothing follows the phase.
func (p phase) ended() bool { return p >= phaseAnswered }

// mayBecome reports whether a call in the phase may enter the next one.
func (p phase) mayBecome(next phase) bool {
	switch p {
	case phaseAdmitted:
		return next == phaseQueued
	case phaseQueued:
		return next == phaseGranted || next.ended()
	case phaseGranted:
		return next == phaseQueued || next == phaseSent || next.ended()
	case phaseSent:
		return next.ended()
	}
	return false
}

// The methods of a call decide what becomes of it and of its slot. None blocks.
// Those that return a failure have ended the call with it, and have released its
// slot.

// class returns who waits for the call's answer, as its pool knows it.
func (c *Call) class() pool.Class {
	if c.Durable {
		return pool.ClassDurable
	}
	return pool.ClassSync
}

// Queued reports whether the call waits for a slot.
func (c *Call) Queued() bool { return c.phase == phaseQueued }

// enter makes next the call's phase.
func (c *Call) enter(next phase) {
	if !c.phase.mayBecome(next) {
		panic(fmt.Sprintf("a call that is %v became %v", c.phase, next))
	}
	c.phase = next
}

// Enqueue begins the wait for a slot, and reports whether the call comes back
// from a replica that refused it.
func (c *Call) Enqueue(now time.Time) (retry bool) {
	c.enter(phaseQueued)
	if retry = c.tries > 0; !retry {
		c.queuedAt = now
	}
	c.tries++
	return retry
}

// EndWait ends the wait: with a slot, or with the reason why there is none.
func (c *Call) EndWait(slot *pool.Replica, err error, now time.Time) *protocol.Failure {
	c.started, c.Wait = now, now.Sub(c.queuedAt)
	if err == nil && c.Gone {
		c.Route.Pool.Release(slot, c.class(), pool.OutcomeOK)
		err = pool.ErrCallerGone
	}
	if err != nil {
		return c.NotServed(err)
	}
	c.enter(phaseGranted)
	r := ReplicaOf(slot)
	c.slot, c.Replica = slot, r.Addr()
	r.runs(c)
	return nil
}

// TimeOutWait ends the wait of a call that is in no queue any more.
func (c *Call) TimeOutWait(now time.Time) *protocol.Failure {
	c.Wait = now.Sub(c.queuedAt)
	if !c.Route.Pool.Usable() {
		return c.NotServed(pool.ErrNoReplica)
	}
	return c.NotServed(pool.ErrWaitTimeout)
}

// RetryOrEnd is called when the replica got not one byte of the call. Without a
// failure another replica is to be asked.
func (c *Call) RetryOrEnd(err error, now time.Time) *protocol.Failure {
	c.Run = now.Sub(c.started)
	// A caller who left, or had no time left, says nothing of the replica.
	switch {
	case c.Gone:
		c.Release(pool.OutcomeOK)
		return c.NotServed(pool.ErrCallerGone)
	case !now.Before(c.Deadline()):
		c.Release(pool.OutcomeOK)
		return c.NotServed(pool.ErrWaitTimeout)
	}
	c.Log.Warn("the replica refused the connection", "request_id", c.ID, "algorithm", c.Route.VanityURL, "replica", c.Replica, "error", err)
	c.Release(pool.OutcomeRefused)
	return nil
}

// MarkSent is called when the replica has the call, or part of it.
func (c *Call) MarkSent() { c.enter(phaseSent) }

// Complete ends the call with what its replica answered.
func (c *Call) Complete(a protocol.Answer, now time.Time) (protocol.Result, *protocol.Failure) {
	c.Run = now.Sub(c.started)
	c.enter(phaseAnswered)
	c.Release(pool.OutcomeOK)
	return c.ReadAnswer(a)
}

// End ends a call whose answer was passed on to its end.
func (c *Call) End(now time.Time) {
	c.Run = now.Sub(c.started)
	c.enter(phaseAnswered)
	c.Release(pool.OutcomeOK)
}

// BreakOff ends a call that was sent and has no answer: it may have run, and is
// not tried again.
func (c *Call) BreakOff(err error, now time.Time) *protocol.Failure {
	c.Run = now.Sub(c.started)
	end, outcome, f := phaseAnswered, pool.OutcomeOK, protocol.Lost(err)
	switch {
	case errors.Is(err, upstream.ErrTimedOut):
		end, outcome, f = phaseTimedOut, c.timedOutOutcome(), protocol.TimedOut()
	case errors.Is(err, memory.ErrTooLarge):
		f = protocol.TooLarge()
	case c.Gone && c.Durable:
		c.Release(c.cutOutcome(err))
		return c.NotServed(pool.ErrCallerGone)
	case c.Gone && (!c.Langserver || errors.Is(err, memory.ErrNoRoom)):
		c.Release(pool.OutcomeOK)
		return c.NotServed(pool.ErrCallerGone)
	case errors.Is(err, memory.ErrNoRoom):
		f = protocol.NoRoomForReply()
	}
	c.enter(end)
	c.Release(outcome)
	return f
}

// timedOutOutcome returns what a call that timed out means for its replica: a
// langserver cannot cancel, so its process is replaced.
func (c *Call) timedOutOutcome() pool.Outcome {
	if !c.Langserver {
		return pool.OutcomeOK
	}
	c.Log.Warn("the call timed out: ending its replica", "request_id", c.ID, "algorithm", c.Route.VanityURL, "replica", c.Replica)
	return pool.OutcomeStuck
}

// cutOutcome returns what a durable call that was cut off means for its replica.
// One that was cancelled is like one that timed out; when the engine stops, the
// replica may still end it.
func (c *Call) cutOutcome(err error) pool.Outcome {
	if !c.Langserver || !errors.Is(err, async.ErrCancelled) {
		return pool.OutcomeOK
	}
	c.Log.Info("the call was cancelled: ending its replica", "request_id", c.ID, "algorithm", c.Route.VanityURL, "replica", c.Replica)
	return pool.OutcomeStuck
}

// halfClosedFor is how long a call waits for a slot after its caller has ended
// their half of the connection. They may wait for the answer, as `nc -N` does,
// or have left: TCP does not tell the two apart. A call that finds a free slot,
// at another engine too, is answered; one that really queues holds no place for
// nobody.
const halfClosedFor = time.Second

// EndsWithoutCaller reports whether the call ends in an answer though its caller
// sends no more: a langserver cannot cancel, so that its call runs on and holds
// its slot. Any other call is cancelled.
func (c *Call) EndsWithoutCaller(now time.Time) bool {
	switch c.phase {
	case phaseQueued:
		return c.Langserver && now.Sub(c.queuedAt) < halfClosedFor
	case phaseGranted, phaseSent:
		return c.Langserver
	}
	return false
}

// RunsOn reports whether the call is made once it has its slot, whatever becomes
// of its caller.
func (c *Call) RunsOn() bool { return c.Langserver && !c.Durable }

// ExchangeContext returns the context in which the call runs, of its caller's.
func (c *Call) ExchangeContext(ctx context.Context) context.Context {
	if c.RunsOn() {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// WaitContext returns the context in which the call waits for its slot, of its
// caller's, which net/http ends when the caller ends their half. Release it.
func (c *Call) WaitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if !c.RunsOn() {
		return ctx, func() {}
	}
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	until := time.Now().Add(halfClosedFor)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(time.Until(until), cancel) })
	return later, func() { stop(); cancel() }
}

// Release releases the call's slot, once.
func (c *Call) Release(o pool.Outcome) {
	if slot := c.slot; slot != nil {
		c.slot = nil
		c.Route.Pool.Release(slot, c.class(), o)
	}
}

// NotServed ends a call that no replica started.
func (c *Call) NotServed(err error) *protocol.Failure {
	switch {
	case errors.Is(err, pool.ErrQueueFull):
		c.enter(phaseAnswered)
		return &protocol.Failure{
			Status: http.StatusTooManyRequests, Outcome: protocol.OutcomeFull, RetryAfter: 1,
			Message: fmt.Sprintf("%s is busy: %d calls wait already; try again later", c.Route.VanityURL, c.Route.Queue.Limit),
		}
	case errors.Is(err, pool.ErrWaitTimeout):
		c.enter(phaseTimedOut)
		return protocol.TimedOut()
	case errors.Is(err, pool.ErrCallerGone):
		c.enter(phaseCallerGone)
		return &protocol.Failure{Status: 499, Outcome: protocol.OutcomeCanceled, Message: "the caller went away"}
	}
	c.enter(phaseAnswered)
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeNone, RetryAfter: 2,
		Message: fmt.Sprintf("no replica of %s is ready%s; try again later", c.Route.VanityURL, c.Route.Because()),
	}
}
