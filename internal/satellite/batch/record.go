package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// record is what is known of a batch, under its ID in the bucket of batches.
type record struct {
	ID        string `json:"batch_id"`
	VanityURL string `json:"vanity_url"`
	KeyID     string `json:"key_id"`
	Query     string `json:"query,omitempty"` // timeout and the like, of each line's call

	CreatedAt   time.Time `json:"created_at"`
	TouchedAt   time.Time `json:"touched_at"` // last written
	UploadedAt  time.Time `json:"uploaded_at,omitzero"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	CancelledAt time.Time `json:"cancelled_at,omitzero"`

	Stored stored `json:"stored"`
	// Attempts are the uploads: each one that goes on where the last broke off is
	// another. A chunk of an earlier one that did not get into the record before
	// the next began is not of the batch.
	Attempts []attempt `json:"attempts"`

	Counted      int   `json:"counted"`          // chunks before this one are all done
	CountedAhead []int `json:"beyond,omitempty"` // and these after it
	Done         int64 `json:"done"`
	Failed       int64 `json:"failed"`
	RunBytes     int64 `json:"run_bytes"` // of the chunks that are done

	MarkAt [2]time.Time `json:"mark_at,omitzero"` // for the rate
	MarkN  [2]int64     `json:"mark_n,omitzero"`
}

// attempt is one upload of a batch, from a chunk on.
type attempt struct {
	N    int `json:"n"`
	From int `json:"from"`
}

// stored is how much of a batch is in the queue.
type stored struct {
	Chunks int         `json:"chunks"`
	Lines  int64       `json:"lines"`  // of the file, blank ones too
	Inputs int64       `json:"inputs"` // lines that are not blank
	Bytes  int64       `json:"bytes"`  // of the file
	Sum    []byte      `json:"sum"`    // of the lines so far
	Marks  checkpoints `json:"marks"`
}

func (r *record) isCounted(chunk int) bool {
	return chunk < r.Counted || slices.Contains(r.CountedAhead, chunk)
}

// attempt returns the upload that a chunk is of.
func (r *record) attempt(n int) int {
	for _, a := range slices.Backward(r.Attempts) {
		if a.From <= n {
			return a.N
		}
	}
	return 0
}

// begin notes that another upload goes on from here, and returns its number.
func (r *record) begin() int {
	next := attempt{N: 1, From: r.Stored.Chunks}
	if last := len(r.Attempts) - 1; last >= 0 {
		next.N = r.Attempts[last].N + 1
		if r.Attempts[last].From == next.From {
			r.Attempts = r.Attempts[:last]
		}
	}
	r.Attempts = append(r.Attempts, next)
	return next.N
}

// has reports whether the chunk is one of the batch, or may become one.
func (r *record) has(c *chunk) bool { return r.attempt(c.N) == c.Attempt }

// register notes that a chunk is stored. It reports false when an earlier one is
// not known yet.
func (r *record) register(c *chunk) bool {
	if c.N == r.Stored.Chunks && r.UploadedAt.IsZero() {
		marks := r.Stored.Marks.with(c.After.Lines, c.After.Sum)
		r.Stored = c.After
		r.Stored.Marks = marks
	}
	return c.N < r.Stored.Chunks
}

// count notes that a chunk is done, once.
func (r *record) count(n int, done, failed int, size int64, began, now time.Time) {
	if r.isCounted(n) {
		return
	}
	if r.StartedAt.IsZero() || began.Before(r.StartedAt) {
		r.StartedAt = began
	}
	r.CountedAhead = append(r.CountedAhead, n)
	slices.Sort(r.CountedAhead)
	for len(r.CountedAhead) > 0 && r.CountedAhead[0] == r.Counted {
		r.CountedAhead = r.CountedAhead[1:]
		r.Counted++
	}
	r.Done += int64(done)
	r.Failed += int64(failed)
	r.RunBytes += size
	r.finish(now)
	if now.Sub(r.MarkAt[1]) > rateWindow {
		r.MarkAt[0], r.MarkN[0] = r.MarkAt[1], r.MarkN[1]
		r.MarkAt[1], r.MarkN[1] = now, r.Done+r.Failed
	}
}

// finish notes the end of a batch whose chunks are all done.
func (r *record) finish(now time.Time) {
	if r.FinishedAt.IsZero() && r.CancelledAt.IsZero() && !r.UploadedAt.IsZero() && r.Counted == r.Stored.Chunks {
		r.FinishedAt = now
	}
}

// ended reports whether nothing of the batch runs any more.
func (r *record) ended() bool { return !r.FinishedAt.IsZero() || !r.CancelledAt.IsZero() }

// frontier returns the number of the chunk from which on none has run: chunks are
// taken in the order in which they were stored.
func (r *record) frontier() int {
	last := r.Counted
	if len(r.CountedAhead) > 0 {
		last = r.CountedAhead[len(r.CountedAhead)-1] + 1
	}
	return min(r.Stored.Chunks, last+maxOutOfOrder)
}

// checkpoints are sums of the lines up to some of them, so that an upload that differs
// from what is stored can be told where.
type checkpoints struct {
	Stride int64        `json:"stride,omitempty"` // lines between two marks, at least
	At     []checkpoint `json:"at,omitempty"`
}

type checkpoint struct {
	Line int64  `json:"line"`
	Sum  []byte `json:"sum"` // its first bytes
}

const (
	maxCheckpoints = 128
	checkpointSize = 8
)

// with returns the marks with another one; every second one goes when there are
// too many.
func (m checkpoints) with(line int64, sum []byte) checkpoints {
	last := int64(0)
	if n := len(m.At); n > 0 {
		last = m.At[n-1].Line
	}
	if line-last < max(1, m.Stride) {
		return m
	}
	m.At = append(slices.Clip(m.At), checkpoint{line, slices.Clone(sum[:checkpointSize])})
	if len(m.At) > maxCheckpoints {
		var kept []checkpoint
		for i := 1; i < len(m.At); i += 2 {
			kept = append(kept, m.At[i])
		}
		m.At, m.Stride = kept, kept[1].Line-kept[0].Line
	}
	return m
}

const (
	rateWindow = 10 * time.Second
	maxChanges = 100
	// maxOutOfOrder is how many chunks may be under way behind the last that is done.
	maxOutOfOrder = 256
)

var (
	errNotFound   = errors.New("there is no such batch")
	errOutOfOrder = errors.New("an earlier chunk is not known yet")
)

// read returns a batch's record. The error is errNotFound or the queue's.
func (s *Service) read(ctx context.Context, id string) (*record, uint64, error) {
	value, revision, err := s.queue.Record(ctx, queue.BucketBatch, id)
	if errors.Is(err, queue.ErrNotFound) {
		return nil, 0, errNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the batch %s: %w", id, err)
	}
	r := new(record)
	if err := json.Unmarshal(value, r); err != nil {
		return nil, 0, fmt.Errorf("read the batch %s: %w", id, err)
	}
	return r, revision, nil
}

// write puts a record in the place of the one with the revision.
func (s *Service) write(ctx context.Context, r *record, revision uint64) error {
	r.TouchedAt = s.now().UTC()
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.queue.Put(ctx, queue.BucketBatch, r.ID, value, revision)
	return err
}

// errUnchanged is returned by a change that changes nothing.
var errUnchanged = errors.New("nothing to change")

// change applies f to a batch's record, again when another was faster, and
// returns the record as it is then.
func (s *Service) change(ctx context.Context, id string, f func(*record) error) (*record, error) {
	for attempt := 1; ; attempt++ {
		r, revision, err := s.read(ctx, id)
		if err != nil {
			return nil, err
		}
		switch err := f(r); {
		case errors.Is(err, errUnchanged):
			return r, nil
		case err != nil:
			return r, err
		}
		err = s.write(ctx, r, revision)
		if err == nil {
			return r, nil
		}
		// A write of which nothing is known is looked at again: f finds what it
		// wanted done, or does it.
		if !errors.Is(err, queue.ErrConflict) && !errors.Is(err, queue.ErrUnknown) || attempt > maxChanges {
			return nil, fmt.Errorf("write the batch %s: %w", id, err)
		}
		pause := time.Duration(rand.Int64N(int64(min(attempt, 10)) * int64(5*time.Millisecond))) //nolint:gosec // jitter
		if err := sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
