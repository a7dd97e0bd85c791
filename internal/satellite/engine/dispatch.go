package engine

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// dispatch drives a call of net/http's: it waits for a slot, exchanges the call
// with its replica, and asks another one when the first surely did not start it.
// The time-out counts from the call's arrival. A call that has a slot already
// waits for none.
func (e *Engine) dispatch(ctx context.Context, c *call.Call, body *memory.Buffer, slot *pool.Replica) (protocol.Result, *protocol.Failure) {
	deadline := c.Deadline()
	head := memory.NewBuffer(1024 + protocol.SmallBody)
	defer head.Release()
	defer c.Release(pool.OutcomeOK) // after a panic
	wait, stopWait := c.WaitContext(ctx)
	defer stopWait()
	for {
		retry := c.Enqueue(time.Now())
		var err error
		if slot == nil {
			slot, err = waitForSlot(wait, c, deadline, retry)
		}
		c.Gone = ctx.Err() != nil && !c.RunsOn() // which is made once it has its slot
		if f := c.EndWait(slot, err, time.Now()); f != nil {
			return protocol.Result{}, f
		}
		head.B = c.AppendHead(head.B[:0], c.Replica, len(body.B))
		a, err := call.ReplicaOf(slot).Exchange(c.ExchangeContext(ctx), deadline, head, body.B, c.AnswerLimit(), c.Share)
		c.Gone = ctx.Err() != nil && !c.RunsOn()
		if upstream.NotStarted(err) {
			if f := c.RetryOrEnd(err, time.Now()); f != nil {
				return protocol.Result{}, f
			}
			slot = nil
			continue
		}
		c.MarkSent()
		if err != nil {
			return protocol.Result{}, c.BreakOff(err, time.Now())
		}
		return c.Complete(a, time.Now())
	}
}

func waitForSlot(ctx context.Context, c *call.Call, deadline time.Time, retry bool) (*pool.Replica, error) {
	if c.Durable {
		return c.Route.Pool.WaitDurable(ctx, deadline, retry)
	}
	return c.Route.Pool.Wait(ctx, c.KeyID, deadline, retry)
}
