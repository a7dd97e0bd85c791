package batch

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

const (
	pollEvery = 10 * time.Second // beside hints
	// maxActiveChunks and maxActiveBytes bound the chunks in hand: those whose lines run,
	// and those whose results are being stored.
	maxActiveChunks = 32
	maxActiveBytes  = 64 << 20
	errorBackoff    = time.Second
	emptyBackoff    = 2 * time.Second // after the queue had no chunk for this engine
)

// worker runs the batches of one algorithm: it waits for a slot, and takes a
// chunk off the queue when it has one and no line for it.
type worker struct {
	s         *Service
	vanityURL string
	cut       context.Context // of the calls
	wake      chan struct{}
	calls     sync.WaitGroup
	more      bool // the queue had a chunk when it was asked last

	mu    sync.Mutex
	works []*activeChunk // in the order in which they were taken
}

func newWorker(cut context.Context, s *Service, vanityURL string) *worker {
	return &worker{s: s, vanityURL: vanityURL, cut: cut, wake: make(chan struct{}, 1)}
}

func (w *worker) notify() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends, and returns once what it had in hand is stored or
// given back.
func (w *worker) run(ctx context.Context) {
	defer w.calls.Wait()
	defer w.stop()
	defer w.s.queue.Watch(queue.KindBatch, w.vanityURL, w.notify)()
	for ctx.Err() == nil {
		looking, ok := w.next(ctx)
		if !ok {
			w.wait(ctx)
			continue
		}
		slot, err := w.s.opts.Runner.Reserve(ctx, w.vanityURL, looking)
		if err != nil {
			w.pause(ctx, errorBackoff)
			continue
		}
		w.use(ctx, slot)
	}
}

// next reports whether there is something to run, or, looking, whether there may
// be.
func (w *worker) next(ctx context.Context) (looking, ok bool) {
	w.mu.Lock()
	var size int64
	works := len(w.works)
	for _, k := range w.works {
		if k.hasLine() {
			w.mu.Unlock()
			return false, true
		}
		size += k.size()
	}
	w.mu.Unlock()
	if works >= maxActiveChunks || size > maxActiveBytes {
		return false, false
	}
	if w.more {
		return true, true
	}
	p, err := w.s.queue.Pending(ctx, queue.KindBatch, w.vanityURL)
	// What runs elsewhere may be on its way back.
	return p.Waiting == 0, err == nil && (p.Waiting > 0 || p.Running > uint64(works))
}

// wait waits for a hint.
func (w *worker) wait(ctx context.Context) {
	w.pause(ctx, pollEvery+time.Duration(rand.Int64N(int64(pollEvery/4)))) //nolint:gosec // jitter
}

func (w *worker) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-w.wake:
	case <-timer.C:
	}
}

// use runs a line on the slot, or gives it back.
func (w *worker) use(ctx context.Context, slot async.Slot) {
	k, i := w.nextLine()
	for k == nil {
		d, err := w.s.queue.Next(ctx, queue.KindBatch, w.vanityURL)
		if w.more = d != nil; !w.more {
			slot.Release()
			if err != nil && ctx.Err() == nil {
				w.s.log.Debug("no chunk of a batch could be taken", "algorithm", w.vanityURL, "error", err)
			}
			w.pause(ctx, emptyBackoff)
			return
		}
		w.open(ctx, d)
		k, i = w.nextLine()
	}
	wait, err := w.s.opts.Spend(k.chunk.KeyID, w.vanityURL)
	switch {
	case err != nil:
		slot.Release()
		k.fail(i, err.Error())
	case wait > 0:
		slot.Release()
		k.putBack(i)
		_ = sleep(ctx, min(wait, time.Second))
	default:
		w.calls.Go(func() { k.call(slot, i) })
	}
}

// nextLine returns the next line that is to run.
func (w *worker) nextLine() (*activeChunk, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.works {
		if i, ok := k.nextLine(); ok {
			return k, i
		}
	}
	return nil, 0
}

// open looks at a chunk that was taken off the queue, and begins to work on it
// unless there is nothing to do.
func (w *worker) open(ctx context.Context, d *queue.Delivery) {
	c, err := decodeChunk(d.Data)
	if err != nil {
		w.s.log.Error("an unreadable chunk of a batch is left out", "algorithm", w.vanityURL, "message", d.ID, "error", err)
		_ = d.Done(ctx)
		return
	}
	d.Data = nil
	r, err := w.s.record(ctx, c.Batch)
	switch {
	case errors.Is(err, errNotFound):
		w.s.log.Warn("a chunk is left out: its batch is not kept any more", "batch_id", c.Batch)
		_ = d.Done(ctx)
		return
	case err != nil:
		_ = d.Retry(errorBackoff)
		return
	case !r.CancelledAt.IsZero(), r.isCounted(c.N), c.N < r.Stored.Chunks && !r.has(c):
		_ = d.Done(ctx)
		return
	}
	k := newActiveChunk(w, d, c)
	if d.Delivered > 1 {
		if err := k.resume(ctx); err != nil {
			_ = d.Retry(errorBackoff)
			return
		}
	}
	w.mu.Lock()
	w.works = append(w.works, k)
	w.mu.Unlock()
	w.s.mu.Lock()
	w.s.works[k] = true
	w.s.mu.Unlock()
	w.calls.Go(func() {
		k.supervise()
		w.drop(k)
	})
}

// drop forgets a chunk that is done with.
func (w *worker) drop(k *activeChunk) {
	w.mu.Lock()
	for i, other := range w.works {
		if other == k {
			w.works = append(w.works[:i], w.works[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	w.s.mu.Lock()
	delete(w.s.works, k)
	w.s.mu.Unlock()
	w.notify()
}

// stop begins no more lines of the chunks in hand.
func (w *worker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.works {
		k.stop()
	}
}
