package transport

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/retry"
)

// requestTimeout ends an attempt in which nothing comes.
const requestTimeout = 30 * time.Second

// RetryPolicy is how long a request that the API server does not answer is
// retried. So every request has to be one that can be sent twice: a read, a
// server-side apply, a deletion of one certain object, a creation whose second
// attempt finds the first one's object, or a review.
type RetryPolicy struct {
	Budget time.Duration                    // of an outage; 0 tries once
	Report func(format string, args ...any) // is called when the server goes and comes back; may be nil
}

// pauses are the waits between two attempts.
var pauses = retry.Backoff{First: 100 * time.Millisecond, Most: 3 * time.Second}

// retryAfterLimit is the most that a server's Retry-After is heeded.
const retryAfterLimit = 30 * time.Second

// blip is how long a request may fail before it is reported: an
// answer that is broken off now and then is nobody's business.
const blip = 2 * time.Second

// Wrap returns base with the policy. Its errors wrap ErrUnreachable, unless the
// request's own context ended.
func (p RetryPolicy) Wrap(base http.RoundTripper) http.RoundTripper {
	return &retryingTransport{policy: p, base: base}
}

// retryingTransport sends requests until they are answered or the budget is
// spent.
type retryingTransport struct {
	policy RetryPolicy
	base   http.RoundTripper

	mu        sync.Mutex
	exhausted bool // a request's budget was spent, since the server answered last
	failing   int  // requests in trouble that the operator knows of
}

// RoundTrip returns the first answer of the server. When the budget is spent,
// the error wraps ErrUnreachable, whatever came in place of an answer.
func (t *retryingTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	s := &sending{transport: t, request: request, begun: time.Now()}
	if err := retry.Do(request.Context(), retry.Policy{Delay: pauses.Delay}, s.attempt); err != nil {
		t.abandoned(s.reported)
		return nil, err
	}
	t.answered(s.reported)
	return s.response, nil
}

// sending is one request with its attempts.
type sending struct {
	transport *retryingTransport
	request   *http.Request
	begun     time.Time
	failed    int  // attempts
	reported  bool // to the operator
	response  *http.Response
}

// attempt sends the request once.
func (s *sending) attempt() (err error) {
	response, err := s.transport.once(s.request)
	var none *NoAnswer
	if err == nil {
		s.response, none = answer(response) //nolint:bodyclose // whoever sent the request closes it
	} else {
		none = noAnswerOf(err)
	}
	if none == nil {
		return nil
	}
	ctx, wait := s.request.Context(), max(pauses.Delay(s.failed), none.after)
	s.failed++
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case none.permanent || s.transport.spent(s.begun, wait) || s.request.Body != nil && s.request.GetBody == nil:
		return retry.Permanent(none)
	}
	if !s.reported && (s.failed > 1 || time.Since(s.begun) > blip) {
		s.reported = true
		s.transport.trouble(none)
	}
	if s.request.GetBody != nil {
		s.request = s.request.Clone(ctx)
		if s.request.Body, err = s.request.GetBody(); err != nil {
			return retry.Permanent(fmt.Errorf("send the request again: %w", err))
		}
	}
	return retry.After(none, none.after)
}

// spent reports whether another attempt would come too late, or the outage is
// one for which another request's budget was spent already.
func (t *retryingTransport) spent(begun time.Time, wait time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exhausted = t.exhausted || time.Since(begun)+wait > t.policy.Budget
	return t.exhausted
}

// once sends a request once. It ends an attempt in which nothing comes for requestTimeout, unless it is a
// watch, which may have nothing to say. An answer that is no stream is read to
// its end: before that it is none.
func (t *retryingTransport) once(request *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(requestTimeout, func() { cancel(errSilence) })
	defer timer.Stop()
	if isWatch(request) {
		timer.Stop()
	}
	response, err := t.base.RoundTrip(request.WithContext(ctx))
	if err == nil && !streams(request, response) {
		err = readWhole(response, func() { timer.Reset(requestTimeout) })
	}
	if err != nil {
		if context.Cause(ctx) == errSilence { //nolint:errorlint // the very value
			err = errSilence
		}
		cancel(nil)
		return nil, err
	}
	response.Body = &cancelingBody{response.Body, cancel}
	return response, nil
}

// trouble reports the first request that the server does not answer.
func (t *retryingTransport) trouble(problem error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failing++; t.failing == 1 && t.policy.Report != nil {
		t.policy.Report("the cluster does not answer, trying again for up to %s: %v", t.policy.Budget, problem)
	}
}

// answered reports that no request is in trouble any more.
func (t *retryingTransport) answered(reported bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exhausted = false
	if !reported {
		return
	}
	if t.failing--; t.failing == 0 && t.policy.Report != nil {
		t.policy.Report("the cluster answers again")
	}
}

// abandoned forgets a request that was given up; its error says so.
func (t *retryingTransport) abandoned(reported bool) {
	if reported {
		t.mu.Lock()
		t.failing--
		t.mu.Unlock()
	}
}
