package transfer

import (
	"context"
	"sync"

	"github.com/constellation-serving/constellation/internal/install/connection"
)

// How many blobs move at a time: where a transfer begins, and its most.
const (
	firstLimit = 4
	mostLimit  = connection.MostPerHost
)

// worthwhile is the gain in bytes a second from which the limit goes on rising.
const worthwhile = 1.1

// limiter holds a transfer to so many blobs at a time. The limit rises while
// that moves more bytes a second, and halves when the other side is in trouble: a
// registry that answers 429 or resets connections gets less to do.
type limiter struct {
	mu      sync.Mutex
	limit   int
	running int
	best    float64 // bytes a second that the present limit reached
	calm    int     // measures left before it rises again after trouble
	freed   chan struct{}
}

func newLimiter() *limiter { return &limiter{limit: firstLimit, freed: make(chan struct{}, 1)} }

// acquire waits until there is room for one more blob.
func (l *limiter) acquire(ctx context.Context) error {
	for {
		l.mu.Lock()
		if l.running < l.limit {
			l.running++
			l.mu.Unlock()
			return ctx.Err()
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.freed:
		}
	}
}

// release makes room again.
func (l *limiter) release() {
	l.mu.Lock()
	l.running--
	l.mu.Unlock()
	l.wake()
}

// wake makes acquire try again; there is one waiter at most.
func (l *limiter) wake() {
	select {
	case l.freed <- struct{}{}:
	default:
	}
}

// backOff halves the limit: the other side is in trouble.
func (l *limiter) backOff() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.best, l.calm = max(1, l.limit/2), 0, 5
}

// onRate is called with every measure of the rate, in bytes a second. It raises
// the limit by one when all of it is used and the last raise was worth it.
func (l *limiter) onRate(rate float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.calm > 0:
		l.calm--
	case l.running >= l.limit && l.limit < mostLimit && rate > l.best*worthwhile:
		l.best = rate
		l.limit++
		l.wake()
	}
}
