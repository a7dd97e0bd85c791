package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/retry"
)

// How many attempts in a row may fail without progress.
const (
	PlanAttempts = 4
	BlobAttempts = 6
)

// backoff returns the wait before another attempt: 0.5 s doubling to 15 s, half
// of it random.
func backoff(attempt int) time.Duration {
	return retry.Backoff{First: 500 * time.Millisecond, Most: 15 * time.Second, Jitter: 0.5}.Delay(attempt)
}

// Retrier repeats what may get better, and reports each attempt that failed.
type Retrier struct {
	report func(string, ...any) // one line an attempt
	delay  func(attempt int) time.Duration
}

// NewRetrier returns a retrier that waits as delay says, nil being 0.5 s
// doubling to 15 s.
func NewRetrier(report func(string, ...any), delay func(attempt int) time.Duration) Retrier {
	if delay == nil {
		delay = backoff
	}
	return Retrier{report, delay}
}

// Do calls try until it succeeds, fails permanently, or failed attempts times in
// a row without progress.
func (r Retrier) Do(ctx context.Context, what string, attempts int, try func() error) error {
	return retry.Do(ctx, retry.Policy{Delay: r.delay, Attempts: attempts, Notify: func(n retry.Notice) {
		r.report("%s: %s; trying again in %.1f s (%d of %d)", what, brief(n.Err), n.Delay.Seconds(), n.Next, attempts)
	}}, try)
}

// brief leaves out what the last attempt's error will say.
func brief(err error) string {
	var e *fault.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
