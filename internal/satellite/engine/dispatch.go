package engine

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// dispatch drives a call of net/http's: it waits for a slot, exchanges the call
// with its replica, and asks another one when the first surely did not start it.
// The time-out counts from the call's arrival. A call that has a slot already
// waits for none.
func (e *Engine) dispatch(ctx context.Context, c *call, body *memory.Buffer, slot *pool.Replica) (protocol.Result, *protocol.Failure) {
	deadline := c.Deadline()
	head := memory.NewBuffer(1024 + protocol.SmallBody)
	defer head.Release()
	defer c.release(pool.OutcomeOK) // after a panic
	wait, stopWait := c.waitContext(ctx)
	defer stopWait()
	for {
		retry := c.enqueue(time.Now())
		var err error
		if slot == nil {
			slot, err = c.waitForSlot(wait, deadline, retry)
		}
		c.gone = ctx.Err() != nil && !c.runsOn() // which is made once it has its slot
		if f := c.endWait(slot, err, time.Now()); f != nil {
			return protocol.Result{}, f
		}
		head.B = c.AppendHead(head.B[:0], c.replica, len(body.B))
		a, err := replicaOf(slot).Exchange(c.exchangeContext(ctx), deadline, head, body.B, c.AnswerLimit(), c.Share)
		c.gone = ctx.Err() != nil && !c.runsOn()
		if upstream.NotStarted(err) {
			if f := c.retryOrEnd(err, time.Now()); f != nil {
				return protocol.Result{}, f
			}
			slot = nil
			continue
		}
		c.markSent()
		if err != nil {
			return protocol.Result{}, c.breakOff(err, time.Now())
		}
		return c.complete(a, time.Now())
	}
}

func (c *call) waitForSlot(ctx context.Context, deadline time.Time, retry bool) (*pool.Replica, error) {
	if c.durable {
		return c.route.Pool.WaitDurable(ctx, deadline, retry)
	}
	return c.route.Pool.Wait(ctx, c.keyID, deadline, retry)
}
