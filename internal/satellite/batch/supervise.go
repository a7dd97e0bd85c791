package batch

import (
	"context"
	"errors"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// supervise keeps a chunk while its lines run: the queue hears that it is worked on,
// and what has ended is stored from time to time. Then it stores the results,
// counts them, and takes the chunk off.
func (k *activeChunk) supervise() {
	defer k.cancel(nil)
	k.mu.Lock()
	k.settle()
	k.mu.Unlock()
	stop := k.keepAlive()
	defer stop()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for due := time.Now().Add(tick); ; {
		select {
		case <-k.calls.Done():
			k.stop()
			<-k.settled
		case <-k.settled:
		case now := <-ticker.C:
			if now.Before(due) {
				continue
			}
			size, err := k.save(k.calls, false)
			if errors.Is(err, queue.ErrConflict) {
				k.cancel(errLost)
			}
			due = now.Add(tick + time.Duration(size)*time.Second/(256<<10))
			continue
		}
		break
	}
	k.finish()
}

// errLost cuts a chunk that another engine has now.
var errLost = errors.New("another engine has the chunk")

// keepAlive tells the queue that the chunk is worked on, until it is stopped.
func (k *activeChunk) keepAlive() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(k.calls))
	go func() {
		for sleep(ctx, queue.WorkingEvery) == nil {
			if err := k.d.Working(); err != nil {
				k.s.log.Debug("the queue was not told that a chunk is worked on", "batch_id", k.chunk.Batch, "error", err)
			}
		}
	}()
	return cancel
}

// finish ends the work on a chunk none of whose lines runs any more.
func (k *activeChunk) finish() {
	ctx := context.WithoutCancel(k.calls)
	cause := context.Cause(k.calls)
	if errors.Is(cause, errLost) {
		return // it comes back when its other owner is gone
	}
	whole := k.isWhole() || errors.Is(cause, async.ErrCancelled)
	if !whole {
		last, cancel := context.WithTimeout(ctx, lastStore)
		defer cancel()
		_, _ = k.save(last, false)
		_ = k.d.Retry(0)
		return
	}
	var err error
	if !k.isStored() {
		// What has ended is stored when the engine stops, too, or it would run again.
		storing, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(k.w.cut, func() { time.AfterFunc(lastStore, cancel) })()
		err = k.store(storing, func(ctx context.Context) error {
			_, err := k.save(ctx, true)
			return err
		})
	}
	if errors.Is(err, queue.ErrConflict) {
		if err = k.reload(ctx); err == nil && !k.isStored() {
			err = errLost
		}
	}
	if err == nil {
		err = k.s.count(ctx, k)
	}
	if err != nil {
		k.s.log.Warn("a chunk of a batch could not be ended; it is ended later", "batch_id", k.chunk.Batch, "chunk", k.chunk.N, "error", err)
		_ = k.d.Retry(errorBackoff)
		return
	}
	if err := k.d.Done(ctx); err != nil {
		k.s.log.Debug("a chunk that is done comes back", "batch_id", k.chunk.Batch, "error", err)
	}
}

// reload takes over what is stored of the chunk.
func (k *activeChunk) reload(ctx context.Context) error {
	k.mu.Lock()
	for i := range k.ended {
		k.ended[i] = lineOutput{}
	}
	k.n, k.kept = 0, 0
	k.mu.Unlock()
	return k.resume(ctx)
}

// isWhole reports whether there is nothing more to run.
func (k *activeChunk) isWhole() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.whole || k.n == len(k.chunk.Lines)
}

// isStored reports whether the chunk's results are stored whole.
func (k *activeChunk) isStored() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.whole
}

// save stores what has ended, unless it is stored. It returns how many bytes
// that were.
func (k *activeChunk) save(ctx context.Context, complete bool) (int, error) {
	k.mu.Lock()
	r := &results{Complete: complete}
	for _, e := range k.ended {
		if !e.there {
			continue
		}
		e.Size = len(e.output)
		r.Lines = append(r.Lines, e.result)
		r.out = append(r.out, e.output...)
	}
	for r.Whole < len(k.ended) && k.ended[r.Whole].there {
		r.Whole++
	}
	n := k.n
	k.mu.Unlock()
	if !complete && n == k.saved {
		return 0, nil
	}
	value, err := r.encode()
	if err != nil {
		return 0, err
	}
	revision, err := k.s.queue.Put(ctx, queue.BucketChunk, k.key, value, k.revision)
	if errors.Is(err, queue.ErrUnknown) {
		revision, err = k.confirmStored(ctx, value)
	}
	if err != nil {
		return 0, err
	}
	k.revision, k.saved = revision, n
	k.s.queue.Signal(signalChange, []byte(k.chunk.Batch))
	return len(value), nil
}

// confirmStored finds out whether a value of which nothing is known was stored.
func (k *activeChunk) confirmStored(ctx context.Context, value []byte) (uint64, error) {
	stored, revision, err := k.s.queue.Record(ctx, queue.BucketChunk, k.key)
	switch {
	case err == nil && string(stored) == string(value):
		return revision, nil
	case err == nil && revision != k.revision:
		return 0, queue.ErrConflict
	}
	return 0, queue.ErrUnknown
}

// tally is what of a batch waits to be counted: one write counts all that came
// together.
type tally struct {
	next []*pendingCount
}

type pendingCount struct {
	chunk        *chunk
	done, failed int
	began        time.Time
	first        bool // it was not counted before
	err          error
	ended        chan struct{}
}

// count notes a chunk's results in the batch's record.
func (s *Service) count(ctx context.Context, k *activeChunk) error {
	c := &pendingCount{chunk: k.chunk, began: k.began, ended: make(chan struct{})}
	k.mu.Lock()
	for _, e := range k.ended {
		switch {
		case e.there && e.Failed:
			c.failed++
		case e.there:
			c.done++
		}
	}
	k.mu.Unlock()
	began := time.Now()
	for {
		s.enqueue(ctx, c)
		<-c.ended
		if !errors.Is(c.err, errOutOfOrder) || time.Since(began) > orderRetry {
			return c.err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		c.ended, c.err = make(chan struct{}), nil
	}
}

// enqueue hands c to whoever writes the batch's record now, else writes it.
func (s *Service) enqueue(ctx context.Context, c *pendingCount) {
	id := c.chunk.Batch
	s.mu.Lock()
	if t := s.tallies[id]; t != nil {
		t.next = append(t.next, c)
		s.mu.Unlock()
		return
	}
	t := &tally{next: []*pendingCount{c}}
	s.tallies[id] = t
	for len(t.next) > 0 {
		now := t.next
		t.next = nil
		s.mu.Unlock()
		s.countAll(ctx, id, now)
		s.mu.Lock()
	}
	delete(s.tallies, id)
	s.mu.Unlock()
}

// countAll counts chunks of one batch by one write.
func (s *Service) countAll(ctx context.Context, id string, all []*pendingCount) {
	r, err := s.change(ctx, id, func(r *record) error {
		for _, c := range all {
			c.err, c.first = nil, false
			switch {
			case !r.has(c.chunk):
				// Of an upload that another one overtook: its lines run again there.
			case !r.register(c.chunk):
				c.err = errOutOfOrder
			default:
				c.first = !r.isCounted(c.chunk.N)
				r.count(c.chunk.N, c.done, c.failed, c.chunk.FileBytes, c.began, s.now().UTC())
			}
		}
		return nil
	})
	for _, c := range all {
		if err != nil && !errors.Is(err, errNotFound) {
			c.err = err
		} else if err == nil {
			s.countLines(c)
		}
		close(c.ended)
	}
	if err == nil && r.ended() {
		s.known.forget(id)
	}
	s.queue.Signal(signalChange, []byte(id))
}
