package install

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// How often something is tried.
const (
	planAttempts = 4
	blobAttempts = 6
)

// longestWait is the most that a server's Retry-After is heeded.
const longestWait = 2 * time.Minute

// backoff is the wait before another attempt: 0.5 s doubling to 15 s, half of
// it random.
func backoff(attempt int) time.Duration {
	d := min(500*time.Millisecond<<attempt, 15*time.Second)
	return d/2 + rand.N(d/2) //nolint:gosec // spreads attempts, guards nothing
}

// final is a failure that another attempt cannot mend.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// later is a failure whose answer says when to come back.
type later struct {
	error
	after time.Duration // 0 when it does not say
}

func (l later) Unwrap() error { return l.error }

// retryAfter reads an answer's Retry-After, in seconds or as a date by the
// server's own clock, so that ours may be wrong.
func retryAfter(response *http.Response) time.Duration {
	header := response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(header); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), longestWait)
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(response.Header.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestWait)
}

// retrier tries again what may get better.
type retrier struct {
	report func(string, ...any) // one line an attempt
	delay  func(attempt int) time.Duration
}

// retry tries until it succeeds, fails for good, or failed attempts times in a
// row without having moved anything; try says whether it moved something.
func (r retrier) retry(ctx context.Context, what string, attempts int, try func() (moved bool, err error)) error {
	for attempt := 0; ; attempt++ {
		moved, err := try()
		if moved {
			attempt = 0
		}
		var last final
		var comeBack later
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &last):
			return last.error
		case attempt+1 >= attempts:
			return err
		}
		delay := r.delay(attempt)
		if errors.As(err, &comeBack) {
			delay = max(delay, comeBack.after)
		}
		r.report("%s: %s; trying again in %.1f s (%d of %d)", what, brief(err), delay.Seconds(), attempt+2, attempts)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
}

// brief leaves out what the last attempt's error will say.
func brief(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}
