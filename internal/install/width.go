package install

import (
	"context"
	"sync"
)

// How many blobs move at a time: where a transfer begins, and its most.
const (
	firstWidth = 4
	mostWidth  = 16
)

// widenBy is the gain in bytes a second that makes a transfer go on widening.
const widenBy = 1.1

// width holds a transfer to so many blobs at a time. It widens while that
// moves more bytes a second, and halves when the other side is in trouble: a
// registry that answers 429 or resets connections gets less to do.
type width struct {
	mu      sync.Mutex
	limit   int
	running int
	best    float64 // bytes a second that the present limit reached
	calm    int     // looks left before it widens again after trouble
	freed   chan struct{}
}

func newWidth() *width { return &width{limit: firstWidth, freed: make(chan struct{}, 1)} }

// acquire waits for room for one more blob.
func (w *width) acquire(ctx context.Context) error {
	for {
		w.mu.Lock()
		if w.running < w.limit {
			w.running++
			w.mu.Unlock()
			return ctx.Err()
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-w.freed:
		}
	}
}

// release makes room again.
func (w *width) release() {
	w.mu.Lock()
	w.running--
	w.mu.Unlock()
	w.wake()
}

// wake lets acquire look again; one waiter is all there is.
func (w *width) wake() {
	select {
	case w.freed <- struct{}{}:
	default:
	}
}

// trouble halves the width.
func (w *width) trouble() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.limit, w.best, w.calm = max(1, w.limit/2), 0, 5
}

// look, at every measure of the rate, widens by one when all are busy and the last widening was worth it.
func (w *width) look(rate float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.calm > 0:
		w.calm--
	case w.running >= w.limit && w.limit < mostWidth && rate > w.best*widenBy:
		w.best = rate
		w.limit++
		w.wake()
	}
}
