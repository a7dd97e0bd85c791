package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// results returns what is stored of a chunk's results, and the revision. The
// error is queue.ErrNotFound when there is nothing.
func (s *Service) results(ctx context.Context, key string) (*results, uint64, error) {
	value, revision, err := s.queue.Record(ctx, queue.BucketChunk, key)
	if err != nil {
		return nil, 0, err
	}
	r, err := decodeResults(value)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", key, err)
	}
	return r, revision, nil
}

// output writes a batch's output.
type output struct {
	s      *Service
	id     string
	failed bool // errors alone
	write  func(line []byte) error
	flush  func() error // before what is not there yet is waited for
}

// followEvery is how often a batch that is followed is looked at, beside news.
const followEvery = time.Second

// soFar writes what has ended, in the order of the lines.
func (o *output) soFar(ctx context.Context, r *record) error {
	for n := range r.frontier() {
		if err := o.chunk(ctx, r, n, nil); err != nil {
			return err
		}
	}
	return nil
}

// follow writes each line as it ends, in the order of the lines, until the batch
// has ended.
func (o *output) follow(ctx context.Context) error {
	news, stop := o.s.await(o.id)
	defer stop()
	at := &cursor{}
	for {
		r, _, err := o.s.read(ctx, o.id)
		if err != nil {
			return err
		}
		for at.n < r.Stored.Chunks {
			before := at.n
			if err := o.chunk(ctx, r, at.n, at); err != nil {
				return err
			}
			if at.n == before {
				break
			}
		}
		switch {
		case !r.CancelledAt.IsZero():
			return o.rest(ctx, r, at)
		case !r.FinishedAt.IsZero() && at.n >= r.Stored.Chunks:
			return nil
		}
		if err := o.flush(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-news:
		case <-time.After(followEvery):
		}
	}
}

// rest writes what had ended of a batch that was cancelled.
func (o *output) rest(ctx context.Context, r *record, at *cursor) error {
	for ; at.n < r.frontier(); at.n++ {
		at.pastGaps = true
		n := at.n
		if err := o.chunk(ctx, r, n, at); err != nil {
			return err
		}
		at.n, at.line = n, 0
	}
	return nil
}

// cursor is how far a batch was followed.
type cursor struct {
	n        int  // chunk
	line     int  // lines of it that are written
	pastGaps bool // lines behind one that has not ended too
}

// chunk writes the lines of a chunk that have ended; those that follow without a
// gap on what was written when at is given, which moves on.
func (o *output) chunk(ctx context.Context, r *record, n int, at *cursor) error {
	results, _, err := o.s.results(ctx, chunkKey(r.ID, n, r.attempt(n)))
	switch {
	case errors.Is(err, queue.ErrNotFound) && r.isCounted(n):
		if at != nil {
			at.n, at.line = n+1, 0
		}
		return o.write(gone(n))
	case errors.Is(err, queue.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	i := 0
	err = results.each(func(l result, out []byte) (err error) {
		i++
		if at != nil && (i <= at.line || i > results.Whole && !results.Complete && !at.pastGaps) {
			return nil
		}
		if at != nil {
			at.line = i
		}
		if o.failed && !l.Failed {
			return nil
		}
		if l.Separate {
			if out, _, err = o.s.queue.Record(ctx, queue.BucketChunk, largeOutputKey(r.ID, n, r.attempt(n), l.N)); err != nil {
				return fmt.Errorf("read the result of line %d: %w", l.N, err)
			}
		}
		return o.write(out)
	})
	if err == nil && at != nil && results.Complete {
		at.n, at.line = n+1, 0
	}
	return err
}

// gone returns the line in the place of results that are not kept any more.
func gone(n int) []byte {
	message := fmt.Sprintf("the results of part %d of the batch are not kept any more", n+1)
	return append(jsonscan.AppendQuoted([]byte(`{"custom_id":null,"line":null,"error":{"message":`), message), "},\"metadata\":{}}\n"...)
}

// Status is what a caller is told of a batch.
type Status struct {
	ID        string `json:"batch_id"`
	VanityURL string `json:"vanity_url"`
	State     string `json:"state"`
	// Total are all lines that are no blank ones, once they are known.
	Total  *int64  `json:"total,omitempty"`
	Lines  int64   `json:"lines"` // that are stored so far
	Done   int64   `json:"done"`
	Failed int64   `json:"failed"`
	Rate   float64 `json:"rate"` // lines a second, lately

	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at,omitzero"`
	UploadedAt  time.Time `json:"uploaded_at,omitzero"`
	FinishedAt  time.Time `json:"finished_at,omitzero"`
	CancelledAt time.Time `json:"cancelled_at,omitzero"`
}

// The states of a batch.
const (
	StateUploading = "uploading" // more lines may come; those that are there run
	StateRunning   = "running"
	StateCompleted = "completed"
	StateCancelled = "cancelled"
)

func (s *Service) status(r *record) Status {
	out := Status{
		ID: r.ID, VanityURL: r.VanityURL, State: StateUploading, Lines: r.Stored.Lines, Done: r.Done, Failed: r.Failed,
		CreatedAt: r.CreatedAt, StartedAt: r.StartedAt, UploadedAt: r.UploadedAt, FinishedAt: r.FinishedAt, CancelledAt: r.CancelledAt,
	}
	if !r.UploadedAt.IsZero() {
		out.State, out.Total = StateRunning, &r.Stored.Inputs
	}
	until := s.now()
	switch {
	case !r.CancelledAt.IsZero():
		out.State, until = StateCancelled, r.CancelledAt
	case !r.FinishedAt.IsZero():
		out.State, until = StateCompleted, r.FinishedAt
		// Of the whole, not of its last moments.
		if d := until.Sub(r.StartedAt).Seconds(); d > 0 {
			out.Rate = float64(r.Done+r.Failed) / d
		}
		return out
	}
	if d := until.Sub(r.MarkAt[0]).Seconds(); d > 0 && !r.StartedAt.IsZero() {
		out.Rate = float64(r.Done+r.Failed-r.MarkN[0]) / d
	}
	return out
}
