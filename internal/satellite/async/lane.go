package async

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// lane takes an algorithm's calls off the queue, in their order, until ctx ends:
// one whenever a replica has room, and none before.
func (s *Service) lane(ctx context.Context, vanityURL string) {
	hint := make(chan struct{}, 1)
	stop := s.opts.Queue.Watch(queue.KindCall, vanityURL, func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	})
	defer stop()
	for {
		s.takeAll(ctx, vanityURL)
		// Hints get lost, and what an engine that died had comes back unasked.
		poll := time.NewTimer(s.opts.PollInterval/2 + rand.N(s.opts.PollInterval)) //nolint:gosec // jitter
		select {
		case <-ctx.Done():
			poll.Stop()
			return
		case <-hint:
			poll.Stop()
		case <-poll.C:
		}
	}
}

// takeAll takes what there is.
func (s *Service) takeAll(ctx context.Context, vanityURL string) {
	for ctx.Err() == nil {
		p, err := s.opts.Queue.Pending(ctx, queue.KindCall, vanityURL)
		// Of those that were delivered, some may be due again.
		n := max(p.Waiting, min(p.Running, 1))
		if err != nil || n == 0 {
			return
		}
		for range n {
			if !s.takeOne(ctx, vanityURL, p.Waiting == 0) {
				return
			}
		}
	}
}

// takeOne reserves a slot, takes a call and runs it, and reports whether there was
// one. Looking says that there may be none.
func (s *Service) takeOne(ctx context.Context, vanityURL string, looking bool) bool {
	if !s.awaitRoom(ctx) {
		return false
	}
	put := func() { <-s.active }
	slot, err := s.opts.Runner.Reserve(ctx, vanityURL, looking)
	if err != nil {
		put()
		return false
	}
	d, err := s.opts.Queue.Next(ctx, queue.KindCall, vanityURL)
	if err != nil || d == nil {
		slot.Release()
		put()
		if err != nil && ctx.Err() == nil && !errors.Is(err, queue.ErrUnavailable) {
			s.log.Warn("take a durable call", "algorithm", vanityURL, "error", err)
		}
		return false
	}
	s.activeBytes.Add(int64(len(d.Data)))
	s.lanes.Go(func() {
		defer func() { s.activeBytes.Add(-int64(len(d.Data))); put() }()
		s.handle(slot, d)
	})
	return true
}

// awaitRoom waits until one more call may be in hand, which it then counts.
func (s *Service) awaitRoom(ctx context.Context) bool {
	for s.activeBytes.Load() > maxActiveBytes {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	select {
	case <-ctx.Done():
		return false
	case s.active <- struct{}{}:
		return true
	}
}
