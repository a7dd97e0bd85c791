package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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

// lifecycle is a call between its admission and its end. It decides what becomes
// of the call and of its slot; what drives it, an event loop or net/http, waits,
// sends, reads and writes. No method blocks. Those that return a failure have
// ended the call with it, and have released its slot.
type lifecycle struct {
	phase    phase
	gone     bool // the caller left, and the call is not made without them
	durable  bool // nobody waits for it: what ends it for its caller cuts it off
	tries    int
	queuedAt time.Time
	started  time.Time // when the slot was granted
	slot     *pool.Replica
	log      *slog.Logger
}

// class returns who waits for the call's answer, as its pool knows it.
func (c *lifecycle) class() pool.Class {
	if c.durable {
		return pool.ClassDurable
	}
	return pool.ClassSync
}

// enter makes next the call's phase.
func (c *call) enter(next phase) {
	if !c.phase.mayBecome(next) {
		panic(fmt.Sprintf("a call that is %v became %v", c.phase, next))
	}
	c.phase = next
}

// enqueue begins the wait for a slot, and reports whether the call comes back
// from a replica that refused it.
func (c *call) enqueue(now time.Time) (retry bool) {
	c.enter(phaseQueued)
	if retry = c.tries > 0; !retry {
		c.queuedAt = now
	}
	c.tries++
	return retry
}

// endWait ends the wait: with a slot, or with the reason why there is none.
func (c *call) endWait(slot *pool.Replica, err error, now time.Time) *protocol.Failure {
	c.started, c.wait = now, now.Sub(c.queuedAt)
	if err == nil && c.gone {
		c.route.Pool.Release(slot, c.class(), pool.OutcomeOK)
		err = pool.ErrCallerGone
	}
	if err != nil {
		return c.notServed(err)
	}
	c.enter(phaseGranted)
	r := replicaOf(slot)
	c.slot, c.replica = slot, r.Addr()
	r.runs(c)
	return nil
}

// timeOutWait ends the wait of a call that is in no queue any more.
func (c *call) timeOutWait(now time.Time) *protocol.Failure {
	c.wait = now.Sub(c.queuedAt)
	if !c.route.Pool.Usable() {
		return c.notServed(pool.ErrNoReplica)
	}
	return c.notServed(pool.ErrWaitTimeout)
}

// retryOrEnd is called when the replica got not one byte of the call. Without a
// failure another replica is to be asked.
func (c *call) retryOrEnd(err error, now time.Time) *protocol.Failure {
	c.Run = now.Sub(c.started)
	// A caller who left, or had no time left, says nothing of the replica.
	switch {
	case c.gone:
		c.release(pool.OutcomeOK)
		return c.notServed(pool.ErrCallerGone)
	case !now.Before(c.Deadline()):
		c.release(pool.OutcomeOK)
		return c.notServed(pool.ErrWaitTimeout)
	}
	c.log.Warn("the replica refused the connection", "request_id", c.ID, "algorithm", c.route.VanityURL, "replica", c.replica, "error", err)
	c.release(pool.OutcomeRefused)
	return nil
}

// markSent is called when the replica has the call, or part of it.
func (c *call) markSent() { c.enter(phaseSent) }

// complete ends the call with what its replica answered.
func (c *call) complete(a protocol.Answer, now time.Time) (protocol.Result, *protocol.Failure) {
	c.Run = now.Sub(c.started)
	c.enter(phaseAnswered)
	c.release(pool.OutcomeOK)
	return c.ReadAnswer(a)
}

// breakOff ends a call that was sent and has no answer: it may have run, and is
// not tried again.
func (c *call) breakOff(err error, now time.Time) *protocol.Failure {
	c.Run = now.Sub(c.started)
	end, outcome, f := phaseAnswered, pool.OutcomeOK, protocol.Lost(err)
	switch {
	case errors.Is(err, upstream.ErrTimedOut):
		end, outcome, f = phaseTimedOut, c.timedOutOutcome(), protocol.TimedOut()
	case errors.Is(err, memory.ErrTooLarge):
		f = protocol.TooLarge()
	case c.gone && c.durable:
		c.release(c.cutOutcome(err))
		return c.notServed(pool.ErrCallerGone)
	case c.gone && (!c.Langserver || errors.Is(err, memory.ErrNoRoom)):
		c.release(pool.OutcomeOK)
		return c.notServed(pool.ErrCallerGone)
	case errors.Is(err, memory.ErrNoRoom):
		f = protocol.NoRoomForReply()
	}
	c.enter(end)
	c.release(outcome)
	return f
}

// timedOutOutcome returns what a call that timed out means for its replica: a
// langserver cannot cancel, so its process is replaced.
func (c *call) timedOutOutcome() pool.Outcome {
	if !c.Langserver {
		return pool.OutcomeOK
	}
	c.log.Warn("the call timed out: ending its replica", "request_id", c.ID, "algorithm", c.route.VanityURL, "replica", c.replica)
	return pool.OutcomeStuck
}

// cutOutcome returns what a durable call that was cut off means for its replica.
// One that was cancelled is like one that timed out; when the engine stops, the
// replica may still end it.
func (c *call) cutOutcome(err error) pool.Outcome {
	if !c.Langserver || !errors.Is(err, async.ErrCancelled) {
		return pool.OutcomeOK
	}
	c.log.Info("the call was cancelled: ending its replica", "request_id", c.ID, "algorithm", c.route.VanityURL, "replica", c.replica)
	return pool.OutcomeStuck
}

// halfClosedFor is how long a call waits for a slot after its caller has ended
// their half of the connection. They may wait for the answer, as `nc -N` does,
// or have left: TCP does not tell the two apart. A call that finds a free slot,
// at another engine too, is answered; one that really queues holds no place for
// nobody.
const halfClosedFor = time.Second

// endsWithoutCaller reports whether the call ends in an answer though its caller
// sends no more: a langserver cannot cancel, so that its call runs on and holds
// its slot. Any other call is cancelled.
func (c *call) endsWithoutCaller(now time.Time) bool {
	switch c.phase {
	case phaseQueued:
		return c.Langserver && now.Sub(c.queuedAt) < halfClosedFor
	case phaseGranted, phaseSent:
		return c.Langserver
	}
	return false
}

// runsOn reports whether the call is made once it has its slot, whatever becomes
// of its caller.
func (c *call) runsOn() bool { return c.Langserver && !c.durable }

// exchangeContext returns the context in which the call runs, of its caller's.
func (c *call) exchangeContext(ctx context.Context) context.Context {
	if c.runsOn() {
		return context.WithoutCancel(ctx)
	}
	return ctx
}

// waitContext returns the context in which the call waits for its slot, of its
// caller's, which net/http ends when the caller ends their half. Release it.
func (c *call) waitContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if !c.runsOn() {
		return ctx, func() {}
	}
	later, cancel := context.WithCancel(context.WithoutCancel(ctx))
	until := time.Now().Add(halfClosedFor)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(time.Until(until), cancel) })
	return later, func() { stop(); cancel() }
}

// release releases the call's slot, once.
func (c *call) release(o pool.Outcome) {
	if slot := c.slot; slot != nil {
		c.slot = nil
		c.route.Pool.Release(slot, c.class(), o)
	}
}

// notServed ends a call that no replica started.
func (c *call) notServed(err error) *protocol.Failure {
	switch {
	case errors.Is(err, pool.ErrQueueFull):
		c.enter(phaseAnswered)
		return &protocol.Failure{
			Status: http.StatusTooManyRequests, Outcome: protocol.OutcomeFull, RetryAfter: 1,
			Message: fmt.Sprintf("%s is busy: %d calls wait already; try again later", c.route.VanityURL, c.route.Queue.Limit),
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
		Message: fmt.Sprintf("no replica of %s is ready%s; try again later", c.route.VanityURL, c.route.Because()),
	}
}
