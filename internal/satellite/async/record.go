package async

import (
	"bytes"
	"context"
	"errors"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// record returns what is kept of a call, nil when that is nothing.
func (s *Service) record(ctx context.Context, t Ticket) (*record, uint64, error) {
	return s.recordWithin(ctx, t, func(int) error { return nil })
}

// recordWithin is record for a body of any size, as queue.RecordWithin has it.
func (s *Service) recordWithin(ctx context.Context, t Ticket, room func(size int) error) (*record, uint64, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	data, rev, err := s.opts.Queue.RecordWithin(ctx, queue.BucketCall, t.String(), room)
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	}
	r, err := decodeRecord(data)
	return r, rev, err
}

// recordHead is recordWithin, but leaves a body where it is that is not stored with
// the record: what it returns then is headOnly.
func (s *Service) recordHead(ctx context.Context, t Ticket, room func(size int) error) (*record, uint64, error) {
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	head, whole, rev, err := s.opts.Queue.RecordHead(short, queue.BucketCall, t.String())
	switch {
	case errors.Is(err, queue.ErrNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, err
	case !whole && bytes.IndexByte(head, '\n') < 0: // an error message of that size
		return s.recordWithin(ctx, t, room)
	}
	if err := room(len(head)); err != nil {
		return nil, 0, err
	}
	r, err := decodeRecord(head)
	if err == nil && !whole {
		r.headOnly, r.body = true, nil
	}
	return r, rev, err
}
