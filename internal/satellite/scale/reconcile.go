package scale

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

const (
	// requestTimeout bounds one conversation with the API server.
	requestTimeout = 5 * time.Second
	firstPause     = time.Second
	longestPause   = 30 * time.Second
)

// Deployments are the cluster's, as far as they are scaled.
type Deployments interface {
	// Read returns how many replicas a Deployment asks for.
	Read(ctx context.Context, name string) (Count, error)
	// Set sets them, if the Deployment is still as it was read; else the error
	// is ErrChanged.
	Set(ctx context.Context, read Count, replicas int) error
	// Explain returns why replicas of a Deployment do not come, "" when it does
	// not know.
	Explain(ctx context.Context, read Count) (string, error)
}

// Count is the replicas that a Deployment asks for, as read.
type Count struct {
	Name     string
	Replicas int
	SetBy    string // who set them, as the API server knows it; "" when it does not
	Refusal  string // why the cluster makes no more pods, "" when it does

	version  string
	selector string
}

// ErrChanged is the error of a Deployment that was changed since it was read.
var ErrChanged = errors.New("the Deployment was changed meanwhile")

// reconcile reads an algorithm's Deployment, sets its replicas to what the load
// asks for and finds out why those do not come that are missing.
func (s *Scaler) reconcile(ctx context.Context, a *algorithm) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s.mu.Lock()
	name := a.target.Deployment
	s.mu.Unlock()
	read, err := s.Deployments.Read(ctx, name)
	if err == nil {
		err = s.setIfChanged(ctx, a, read)
	}
	reason := read.Refusal
	s.mu.Lock()
	lacks := a.isShort(s.Now())
	s.mu.Unlock()
	if err == nil && lacks && reason == "" {
		reason, err = s.Deployments.Explain(ctx, read)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.busy, a.read = false, s.Now()
	if errors.Is(err, ErrChanged) { // by the cluster's own hand, most often: read it again
		a.read = time.Time{}
		return
	}
	s.note(ctx, a, err)
	if err == nil {
		s.explain(a, reason, lacks)
	}
}

// setIfChanged sets the replicas, when they are not what the load asks for.
func (s *Scaler) setIfChanged(ctx context.Context, a *algorithm, read Count) error {
	s.mu.Lock()
	first := !a.known
	if !first && read.Replicas != a.live && read.Replicas != a.state.Desired {
		s.takeOver(a, read)
	}
	a.live, a.known = read.Replicas, true
	desired := a.state.Desired
	s.mu.Unlock()
	if first || desired == read.Replicas || !s.IsLeader() {
		return nil
	}
	if err := s.Deployments.Set(ctx, read, desired); err != nil {
		return err
	}
	s.mu.Lock()
	a.live = desired
	s.mu.Unlock()
	return nil
}

// takeOver notes that somebody else set the replicas.
func (s *Scaler) takeOver(a *algorithm, read Count) {
	if a.live == 0 && read.Replicas > 0 {
		// Another engine has a call that waits. That is in no observation yet,
		// and the next decision is to keep what it asked for.
		a.decider.wake(s.Now())
		a.state.Desired = min(read.Replicas, a.target.Max)
		return
	}
	by := read.SetBy
	if by == config.ScaleManager { // an engine that decided before, or was not answered
		return
	}
	if by == "" {
		by = "somebody"
	}
	a.manualAt = s.Now()
	a.state.Manual = fmt.Sprintf("%s set %d replicas at %s; the load asks for %d, which was set again",
		by, read.Replicas, a.manualAt.UTC().Format("15:04:05"), a.state.Desired)
	s.Log.Warn("somebody else set the replicas, which follow the load; they are set again", "algorithm", a.target.VanityURL,
		"deployment", a.target.Deployment, "by", by, "replicas", read.Replicas, "desired", a.state.Desired)
}

// note counts failures, and holds back the next attempt.
func (s *Scaler) note(ctx context.Context, a *algorithm, err error) {
	if err == nil {
		a.failures, a.retryAt = 0, time.Time{}
		return
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return
	}
	if a.failures == 0 {
		s.Log.Warn("the replicas of an algorithm cannot be scaled; it is tried again", "algorithm", a.target.VanityURL, "error", err)
	}
	a.state.Reason = brief("its replicas cannot be scaled: " + err.Error())
	a.retryAt = s.Now().Add(min(firstPause<<min(a.failures, 10), longestPause))
	a.failures++
}

// explain notes why replicas do not come.
func (s *Scaler) explain(a *algorithm, reason string, lacks bool) {
	if !lacks && reason == "" {
		return
	}
	if reason = brief(reason); reason != a.state.Reason && reason != "" {
		s.Log.Warn("replicas of an algorithm do not come", "algorithm", a.target.VanityURL, "desired", a.state.Desired, "reason", reason)
	}
	a.state.Reason = reason
}

// brief cuts a reason to what fits beside others.
func brief(reason string) string {
	const most = 400
	words := []rune(reason)
	if len(words) > most {
		return string(words[:most-1]) + "…"
	}
	return reason
}
