package engine

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/semaphore"
)

// Request bodies of a megabyte and more share bodyRoom: while it is used up,
// the next ones wait unread, held back by TCP. So the engine's memory stays
// bounded however many callers send large bodies at once.
const (
	largeBody    = 1 << 20
	bodyRoom     = 256 << 20
	roomPatience = time.Minute
)

var errNoRoom = errors.New("no room for a large body")

// share is one call's part of the room for large bodies.
type share struct {
	of       *semaphore.Weighted
	ctx      context.Context // the call's
	patience time.Duration
	n        int64
}

// take waits for room for n bytes, first come first served; once for a call.
func (s *share) take(n int) error {
	if s.n > 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.patience)
	defer cancel()
	if s.of.Acquire(ctx, int64(n)) != nil {
		return errNoRoom
	}
	s.n = int64(n)
	return nil
}

// give returns what was taken.
func (s *share) give() {
	if s.n > 0 {
		s.of.Release(s.n)
		s.n = 0
	}
}
