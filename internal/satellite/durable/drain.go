package durable

import (
	"context"
	"errors"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Whether new calls are refused is a record in the queue, so that all engines know
// it, those too that start later.
const (
	drainKey    = "operate.drain"
	drainSignal = "operate.drain"
)

// What is known of whether new calls are refused.
const (
	drainUnknown int32 = iota
	drainOff
	drainOn
)

// Refuse has all engines refuse new calls, or take them again.
func (d *Session) Refuse(ctx context.Context, on bool) error {
	var err error
	if on {
		err = d.Queue.Set(ctx, queue.BucketSchedule, drainKey, []byte("on"))
	} else {
		err = d.Queue.Delete(ctx, queue.BucketSchedule, drainKey)
	}
	if err != nil {
		return err
	}
	d.Queue.Signal(drainSignal, nil)
	d.readDrain(ctx)
	return nil
}

// readDrain reads whether new calls are refused. When that cannot be read it stays
// as it was.
func (d *Session) readDrain(ctx context.Context) {
	_, _, err := d.Queue.Record(ctx, queue.BucketSchedule, drainKey)
	switch {
	case err == nil:
		d.drains.Store(drainOn)
	case errors.Is(err, queue.ErrNotFound):
		d.drains.Store(drainOff)
	}
}

// Refuses reads and reports whether new calls are refused.
func (d *Session) Refuses(ctx context.Context) bool {
	d.readDrain(ctx)
	return d.drains.Load() == drainOn
}

// drained returns the failure of a new call while none are taken, else nil.
func (d *Session) drained(ctx context.Context) *protocol.Failure {
	if d.drains.Load() == drainUnknown {
		d.readDrain(ctx)
	}
	if d.drains.Load() != drainOn {
		return nil
	}
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 30,
		Message: "the satellite takes no new asynchronous calls at the moment, since its operator said so: the call was not stored; try again later",
	}
}
