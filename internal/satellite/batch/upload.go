package batch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Upload is a request that hands lines over.
type Upload struct {
	VanityURL string
	KeyID     string
	Query     string // of each line's call
	// BatchID is the batch that it goes on with; "" begins one.
	BatchID string
	// IdempotencyKey is the caller's own name of the batch: the first upload with
	// it begins it, each later one goes on with it.
	IdempotencyKey string
	// Complete ends a batch whose upload broke off with what is stored of it.
	Complete bool
}

// newID returns the ID of the batch that an upload means.
func (u *Upload) newID() string {
	switch {
	case u.BatchID != "":
		return u.BatchID
	case u.IdempotencyKey != "":
		sum := sha256.Sum256([]byte("batch\x00" + u.KeyID + "\x00" + u.VanityURL + "\x00" + u.IdempotencyKey))
		id := uuid.UUID(sum[:16])
		id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8
		return idPrefix + id.String()
	}
	return idPrefix + uuid.NewString()
}

const (
	idPrefix      = "batch-"
	maxAttempts   = 10_000 // uploads of one batch
	saveEvery     = time.Second
	flushAfter    = 200 * time.Millisecond // a line waits so long for more of its chunk
	finishTimeout = 10 * time.Second       // what is left to store has, once the client is gone
	fullRetry     = 250 * time.Millisecond
	maxFullRetry  = 2 * time.Second
)

func refuse(status int, format string, args ...any) *protocol.Failure {
	return protocol.Refuse(status, fmt.Sprintf(format, args...))
}

// open begins a batch, or goes on with it. It returns the record and the number
// of the upload; a batch that is uploaded whole has none more.
func (s *Service) open(ctx context.Context, u *Upload) (*record, int, error) {
	id := u.newID()
	n := 0
	again := func(r *record) error {
		switch {
		case r.VanityURL != u.VanityURL:
			return refuse(http.StatusConflict, "the batch %s is one of %s", id, r.VanityURL)
		case r.KeyID != u.KeyID:
			return refuse(http.StatusForbidden, "the batch %s was begun with another API key, and goes on with that", id)
		case r.Query != u.Query:
			return refuse(http.StatusConflict, "the batch %s was begun with other parameters: %q", id, r.Query)
		case !r.CancelledAt.IsZero():
			return refuse(http.StatusConflict, "the batch %s was cancelled", id)
		case !r.UploadedAt.IsZero():
			return errUnchanged
		case len(r.Attempts) >= maxAttempts:
			return refuse(http.StatusConflict, "the batch %s was begun %d times: end it with complete=true", id, maxAttempts)
		}
		n = r.begin()
		return nil
	}
	for {
		r, err := s.change(ctx, id, again)
		switch {
		case err == nil:
			return r, n, nil
		case !errors.Is(err, errNotFound):
			return nil, 0, err
		case u.BatchID != "" || u.Complete:
			return nil, 0, refuse(http.StatusNotFound, "there is no batch %s", id)
		}
		now := s.now().UTC()
		r = &record{ID: id, VanityURL: u.VanityURL, KeyID: u.KeyID, Query: u.Query, CreatedAt: now, MarkAt: [2]time.Time{now, now}}
		n = r.begin()
		switch err := s.write(ctx, r, 0); {
		case err == nil:
			return r, n, nil
		case errors.Is(err, queue.ErrConflict), errors.Is(err, queue.ErrUnknown):
			// Another upload of the same batch, or perhaps this one.
		default:
			return nil, 0, fmt.Errorf("begin a batch: %w", err)
		}
	}
}

// uploader stores the lines of one upload.
type uploader struct {
	s       *Service
	id      string
	n       int // of the upload
	record  *record
	lines   *lineReader
	prefix  stored // what was stored before it
	storing context.Context

	mu      sync.Mutex
	chunk   *chunk // what is not stored yet
	stored  stored
	saved   int // chunks that are in the record
	savedAt time.Time
	ran     int64 // bytes that have run, as far as is known
	failed  error
}

// upload stores the lines of body, and returns the record as it is then. What
// was stored stays, whatever the error.
func (s *Service) upload(ctx context.Context, r *record, n int, complete bool, body io.Reader) (*record, error) {
	storing := context.WithoutCancel(ctx)
	u := &uploader{s: s, id: r.ID, n: n, record: r, lines: newLineReader(body), prefix: r.Stored, storing: storing, stored: r.Stored, saved: r.Stored.Chunks, savedAt: time.Now(), ran: r.RunBytes}
	u.renew()
	stop := u.flushIdle(ctx)
	err := u.read(ctx, complete)
	stop()
	u.mu.Lock()
	defer u.mu.Unlock()
	if n == 0 {
		return r, err // it was whole before
	}
	last, cancel := context.WithTimeout(storing, s.opts.StallTimeout+finishTimeout)
	defer cancel()
	if flushed := u.flush(last); err == nil {
		err = flushed
	}
	saved, saveErr := u.save(last, err == nil)
	if err == nil {
		err = saveErr
	}
	if saved == nil {
		saved = r
	}
	s.queue.Signal(signalChange, []byte(r.ID))
	return saved, err
}

// read reads the lines: first those that are stored already.
func (u *uploader) read(ctx context.Context, complete bool) error {
	for ctx.Err() == nil {
		raw, long, err := u.lines.next()
		if errors.Is(err, io.EOF) {
			if complete || u.lines.n >= u.prefix.Lines {
				return nil
			}
			return refuse(http.StatusConflict, "this upload ends after line %d, and %d lines of the batch are stored: send all of it again, or end the batch with complete=true", u.lines.n, u.prefix.Lines)
		}
		if err != nil {
			return fmt.Errorf("read the lines: %w", err)
		}
		if complete {
			return refuse(http.StatusBadRequest, "complete=true ends a batch with what is stored of it, and takes no lines")
		}
		l := u.lines.parse(raw, long)
		if u.lines.n <= u.prefix.Lines {
			err = u.compare()
		} else {
			err = u.take(ctx, l, isBlank(raw))
		}
		if err != nil {
			return err
		}
		u.lines.shrink()
	}
	return context.Cause(ctx)
}

// compare compares the lines so far with what is stored of them.
func (u *uploader) compare() error {
	n, from := u.lines.n, int64(1)
	for _, m := range u.prefix.Marks.At {
		if m.Line == n && !bytes.Equal(u.lines.sum.Sum(nil)[:checkpointSize], m.Sum) {
			return u.differs(from, n)
		}
		if m.Line <= n {
			from = m.Line + 1
		}
	}
	if n == u.prefix.Lines && !bytes.Equal(u.lines.sum.Sum(nil), u.prefix.Sum) {
		return u.differs(from, n)
	}
	return nil
}

func (u *uploader) differs(from, to int64) error {
	return refuse(http.StatusConflict, "the lines %d to %d are not those that are stored of the batch %s: nothing was taken of this upload", from, to, u.id)
}

// take adds a line to the chunk, which is stored when it is full.
func (u *uploader) take(ctx context.Context, l line, blank bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return u.failed
	}
	if u.n == 0 {
		return refuse(http.StatusConflict, "the batch %s is complete with %d lines, and this upload has more", u.id, u.prefix.Lines)
	}
	if !blank && !u.chunk.hasRoom(len(l.Input)) {
		if err := u.flush(ctx); err != nil {
			return err
		}
	}
	if !blank {
		u.chunk.add(l)
		u.chunk.After.Inputs++
	}
	u.chunk.After.Lines = l.N
	u.chunk.After.Bytes = u.lines.bytes
	u.chunk.After.Sum = u.lines.sum.Sum(u.chunk.After.Sum[:0])
	return nil
}

// renew begins the next chunk.
func (u *uploader) renew() {
	after := u.stored
	after.Chunks, after.Marks, after.Sum = after.Chunks+1, checkpoints{}, bytes.Clone(after.Sum)
	u.chunk = &chunk{Batch: u.id, VanityURL: u.record.VanityURL, KeyID: u.record.KeyID, Query: u.record.Query, N: u.stored.Chunks, Attempt: u.n, After: after}
}

// flushIdle stores the lines of a client that sends no more for the moment, until
// it is stopped.
func (u *uploader) flushIdle(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		before := int64(-1)
		for sleep(ctx, flushAfter) == nil {
			u.mu.Lock()
			if n := u.chunk.After.Lines; n == before && len(u.chunk.Lines) > 0 && u.failed == nil {
				u.failed = u.flush(ctx)
			} else {
				before = n
			}
			u.mu.Unlock()
		}
	})
	return func() { cancel(); done.Wait() }
}

// flush stores the chunk, when it has lines; u.mu is held.
func (u *uploader) flush(ctx context.Context) error {
	if len(u.chunk.Lines) == 0 {
		return nil
	}
	u.chunk.FileBytes = u.chunk.After.Bytes - u.stored.Bytes
	data, err := u.chunk.encode()
	if err != nil {
		return err
	}
	if err := u.awaitRoom(ctx); err != nil {
		return err
	}
	m := queue.Message{Kind: queue.KindBatch, Algorithm: u.chunk.VanityURL, ID: chunkKey(u.id, u.chunk.N, u.n), Data: data}
	if err := u.publish(m); err != nil {
		return err
	}
	marks := u.stored.Marks.with(u.chunk.After.Lines, u.chunk.After.Sum)
	u.stored = u.chunk.After
	u.stored.Marks = marks
	u.renew()
	if time.Since(u.savedAt) > saveEvery {
		_, err = u.save(u.storing, false)
	}
	return err
}

// publish stores a chunk, and tries again while the queue has no room.
func (u *uploader) publish(m queue.Message) error {
	pause := fullRetry
	for began := time.Now(); ; pause = min(2*pause, maxFullRetry) {
		_, err := u.s.queue.Publish(u.storing, m)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, queue.ErrInvalid):
			return fmt.Errorf("store a chunk: %w", err)
		case time.Since(began) > u.s.opts.StallTimeout:
			return u.noRoom(err)
		}
		if err := sleep(u.storing, pause); err != nil {
			return err
		}
	}
}

// awaitRoom waits until not too much of the batch is stored that has not run.
func (u *uploader) awaitRoom(ctx context.Context) error {
	began, ran := time.Now(), u.ran
	for u.stored.Bytes-u.ran > u.s.opts.MaxPending {
		if u.saved < u.stored.Chunks {
			if _, err := u.save(u.storing, false); err != nil {
				return err
			}
		} else if r, err := u.s.record(ctx, u.id); err == nil {
			if u.ran = r.RunBytes; !r.CancelledAt.IsZero() {
				return refuse(http.StatusConflict, "the batch %s was cancelled", u.id)
			}
		}
		if u.ran != ran {
			began, ran = time.Now(), u.ran
		}
		if time.Since(began) > u.s.opts.StallTimeout {
			return u.noRoom(nil)
		}
		if err := sleep(ctx, fullRetry); err != nil {
			return err
		}
	}
	return nil
}

func (u *uploader) noRoom(cause error) error {
	f := refuse(http.StatusServiceUnavailable, "the queue has no room for more of the batch %s; %d lines are stored and run: send the batch again with batch_id=%s, and it goes on there", u.id, u.stored.Lines, u.id)
	f.RetryAfter, f.Cause, f.Outcome = 30, cause, protocol.OutcomeFull
	return f
}

// save notes in the record what is stored, and that it is all when whole.
func (u *uploader) save(ctx context.Context, whole bool) (*record, error) {
	r, err := u.s.change(ctx, u.id, func(r *record) error {
		switch {
		case !r.CancelledAt.IsZero():
			return refuse(http.StatusConflict, "the batch %s was cancelled", u.id)
		case len(r.Attempts) == 0 || r.Attempts[len(r.Attempts)-1].N != u.n:
			return refuse(http.StatusConflict, "another upload of the batch %s goes on with it", u.id)
		}
		changed := u.stored.Chunks > r.Stored.Chunks
		if changed {
			r.Stored = u.stored
		}
		if whole {
			now := u.s.now().UTC()
			// Blank lines and an end without lines are of no chunk.
			r.Stored.Lines, r.Stored.Bytes, r.Stored.Sum = u.chunk.After.Lines, u.chunk.After.Bytes, u.chunk.After.Sum
			r.UploadedAt = now
			r.finish(now)
			return nil
		}
		if !changed {
			return errUnchanged
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	u.saved, u.savedAt, u.ran = u.stored.Chunks, time.Now(), r.RunBytes
	return r, nil
}
