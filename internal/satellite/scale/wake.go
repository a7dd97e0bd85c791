package scale

import (
	"context"
	"errors"
	"time"
)

const (
	// wakeInterval is the least time between two requests for a replica.
	wakeInterval = 3 * time.Second
	// wakeRetry is the first pause after an attempt that failed.
	wakeRetry = 100 * time.Millisecond
)

// Wake is called when a call waits in this engine and no replica takes it, and
// asks for one at once. Any engine may be woken: a Deployment that asks for
// replicas already is left as it is. It does not block, and asks its Source
// nothing: it may be called with a lock held that the Source takes.
func (s *Scaler) Wake(vanityURL string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.algorithms[vanityURL]; a != nil { // else the first look at its load finds the call
		s.wakeUp(a)
	}
}

// wakeUp begins to ask for a replica. The scaler's lock is held.
func (s *Scaler) wakeUp(a *algorithm) {
	if a.waking || s.life == nil || s.life.Err() != nil {
		return
	}
	a.waking = true
	ctx := s.life
	s.work.Go(func() { s.wake(ctx, a) })
}

// wake asks for a replica until there is one asked for, or no call waits.
func (s *Scaler) wake(ctx context.Context, a *algorithm) {
	s.mu.Lock()
	vanity := a.target.VanityURL
	s.mu.Unlock()
	pause := wakeRetry
	for {
		err := s.wakeOnce(ctx, a)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrChanged) {
			s.mu.Lock()
			a.problem = brief("its replicas cannot be scaled: " + err.Error())
			s.mu.Unlock()
			s.Log.Warn("a call waits, and no replica can be asked for; it is tried again", "algorithm", vanity, "error", err)
		}
		if !sleep(ctx, pause) || s.Source.Loads()[vanity].Waiting == 0 {
			break
		}
		pause = min(2*pause, longestPause)
	}
	sleep(ctx, wakeInterval)
	s.mu.Lock()
	a.waking = false
	s.mu.Unlock()
}

func (s *Scaler) wakeOnce(ctx context.Context, a *algorithm) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s.mu.Lock()
	t := a.target
	s.mu.Unlock()
	read, err := s.Deployments.Read(ctx, t.Deployment)
	if err != nil {
		return err
	}
	if read.Replicas > 0 {
		s.mu.Lock()
		a.problem = ""
		s.mu.Unlock()
		return nil
	}
	load := s.Source.Loads()[t.VanityURL]
	first := min(max(ceil(float64(load.Calls), max(1, t.Concurrency)), t.Min, 1), minStep, t.Max)
	if err := s.Deployments.Set(ctx, read, first); err != nil {
		return err
	}
	s.Log.Info("a call waits and there is no replica: one is asked for", "algorithm", t.VanityURL, "replicas", first)
	s.mu.Lock()
	defer s.mu.Unlock()
	a.decider.wake(s.Now())
	a.problem = ""
	if a.known {
		a.live = first
	}
	a.state.Desired = max(a.state.Desired, first)
	return nil
}

// sleep waits, and reports false when ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
