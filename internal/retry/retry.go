package retry

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Backoff is how long to wait between attempts: First, doubling up to Most.
// Jitter is the share of each wait that is random, from 0 to 1: with 0.5 a wait
// of 2 s lasts between 1 s and 2 s, so that clients which failed together do not
// come back together.
type Backoff struct {
	First, Most time.Duration
	Jitter      float64
}

// Delay returns the wait after attempt, of which the first is 0.
func (b Backoff) Delay(attempt int) time.Duration {
	// The library spreads to both sides of its interval, this type only
	// shortens; both cover the same range.
	middle := 1 - b.Jitter/2
	e := backoff.ExponentialBackOff{
		InitialInterval:     time.Duration(float64(b.First) * middle),
		MaxInterval:         time.Duration(float64(b.Most) * middle),
		Multiplier:          2,
		RandomizationFactor: b.Jitter / 2 / middle,
	}
	for range min(attempt, maxDoublings) {
		e.NextBackOff()
	}
	return max(e.NextBackOff(), 0)
}

// maxDoublings is more than any wait needs to reach its most.
const maxDoublings = 62

// Policy is how often and how long something is tried.
type Policy struct {
	// Delay returns the wait after an attempt, of which the first is 0. nil is
	// no wait. It is [Backoff.Delay] but in tests.
	Delay func(attempt int) time.Duration

	// Attempts is how many attempts in a row may fail without progress; 0 is any
	// number.
	Attempts int

	// Budget is the time after which no further attempt begins; 0 is unlimited.
	Budget time.Duration

	// Notify, which may be nil, is called before each wait.
	Notify func(Notice)
}

// Notice is an attempt that failed and will be followed by another one.
type Notice struct {
	Err   error         // of the attempt, without the marks of this package
	Delay time.Duration // before the next attempt
	Next  int           // number of the next attempt since there was progress; the first is 1
}

// Do calls try until it succeeds. It returns the error of the last attempt when
// the policy allows no other one, the error inside a [Permanent] one at once,
// and the context's error when that has ended.
func Do(ctx context.Context, p Policy, try func() error) error {
	s := &schedule{policy: p}
	options := []backoff.RetryOption{backoff.WithBackOff(s), backoff.WithMaxElapsedTime(p.Budget)}
	if p.Notify != nil {
		options = append(options, backoff.WithNotify(func(err error, delay time.Duration) {
			p.Notify(Notice{Err: unmarked(err), Delay: delay, Next: s.failed + 1})
		}))
	}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		s.last = err
		if ctx.Err() == nil && errors.As(err, new(permanent)) {
			return struct{}{}, backoff.Permanent(err)
		}
		return struct{}{}, err
	}, options...)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return unmarked(err)
}

// schedule is a policy as the library asks for it: one wait after the other.
type schedule struct {
	policy Policy
	failed int   // attempts since there was progress
	last   error // of the latest attempt
}

// Reset begins anew.
func (s *schedule) Reset() { s.failed = 0 }

// NextBackOff returns the wait before the next attempt, or backoff.Stop.
func (s *schedule) NextBackOff() time.Duration {
	if errors.As(s.last, new(progressed)) {
		s.failed = 0
	}
	s.failed++
	if s.policy.Attempts > 0 && s.failed >= s.policy.Attempts {
		return backoff.Stop
	}
	var delay time.Duration
	if s.policy.Delay != nil {
		delay = s.policy.Delay(s.failed - 1)
	}
	var asked after
	if errors.As(s.last, &asked) {
		delay = max(delay, asked.delay)
	}
	return delay
}
