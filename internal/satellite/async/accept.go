package async

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Submission is a call that is to be accepted. Its key may call the algorithm,
// and its body is one that the algorithm could read.
type Submission struct {
	Input                 // without a request id
	Algorithm      string // OWNER/NAME/HASH
	IdempotencyKey string // "" is none
	Callback       string // URL; "" is none
}

// Accept stores a call and returns its request id once a majority of the queue
// has it on disk. A failure that has a request id may be of a call that was
// stored nevertheless.
func (s *Service) Accept(ctx context.Context, in Submission) (id string, f *protocol.Failure) {
	if f := in.check(); f != nil {
		return "", f
	}
	if err := s.opts.Queue.AwaitReady(ctx); err != nil {
		return "", s.refuse(err, "")
	}
	ticket := s.opts.IDs.NewTicket(in.VanityURL)
	if in.IdempotencyKey != "" {
		ticket = s.opts.IDs.DeriveTicket(in.VanityURL, in.KeyID, in.IdempotencyKey)
		if seq, err := s.once(ctx, ticket); err == nil {
			return s.opts.IDs.Encode(ticket, Position{Seq: seq}), nil
		} else if !errors.Is(err, queue.ErrNotFound) {
			return "", s.refuse(err, "")
		}
	}
	seq, err := s.publish(ctx, &in, ticket)
	if errors.Is(err, queue.ErrUnknown) {
		id := s.opts.IDs.Encode(ticket, Position{Seq: s.opts.Queue.Last(), After: true})
		return "", s.refuse(err, id)
	}
	if err != nil {
		return "", s.refuse(err, "")
	}
	s.opts.Metrics.accept(in.VanityURL)
	return s.opts.IDs.Encode(ticket, Position{Seq: seq}), nil
}

func (in *Submission) check() *protocol.Failure {
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if len(in.IdempotencyKey) > 255 || strings.ContainsFunc(in.IdempotencyKey, odd) {
		return protocol.Refuse(http.StatusBadRequest, "an Idempotency-Key has at most 255 printable ASCII characters")
	}
	if in.Callback != "" {
		v := new(constellation.Validation)
		constellation.CheckCallbackURL(v, "X-Callback-URL", in.Callback)
		var bad *constellation.Error
		if errors.As(v.Err(), &bad) {
			return protocol.Refuse(http.StatusBadRequest, "X-Callback-URL: "+bad.Message)
		}
	}
	return nil
}

// publish stores a call and returns where.
func (s *Service) publish(ctx context.Context, in *Submission, ticket Ticket) (uint64, error) {
	c := call{
		Version: recordVersion, Ticket: ticket.String(), Algorithm: in.Algorithm, KeyID: in.KeyID,
		ContentType: in.ContentType, Encoding: in.Encoding, Query: in.Query,
		Traceparent: in.Traceparent, Tracestate: in.Tracestate, Callback: in.Callback, CreatedAt: s.now().UTC(),
	}
	header, err := c.encode()
	if err != nil {
		return 0, err
	}
	receipt, err := s.opts.Queue.Publish(ctx, queue.Message{
		Kind: queue.KindCall, Algorithm: in.VanityURL, ID: ticket.String(), Header: header, Data: in.Body,
	})
	if err != nil || in.IdempotencyKey == "" {
		return receipt.Seq, err
	}
	return s.remember(ctx, ticket, receipt.Seq)
}

// onceTimeout bounds the look for a call of the same Idempotency-Key: its
// caller waits meanwhile.
const onceTimeout = 2 * time.Second

// idempotencyRecord is what the bucket of idempotent calls has of one.
type idempotencyRecord struct {
	Seq uint64 `json:"seq"`
}

// once returns where the call of an Idempotency-Key was stored; ErrNotFound when
// it was not.
func (s *Service) once(ctx context.Context, t Ticket) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, onceTimeout)
	defer cancel()
	data, _, err := s.opts.Queue.Record(ctx, queue.BucketIdem, t.String())
	if err != nil {
		return 0, err
	}
	var o idempotencyRecord
	if err := json.Unmarshal(data, &o); err != nil {
		return 0, fmt.Errorf("read where a call was stored: %w", err)
	}
	return o.Seq, nil
}

// remember keeps where the call of an Idempotency-Key was stored, beyond the time
// in which the queue itself knows a ticket again, and returns where the first one
// was. A call that is stored is accepted, though that cannot be kept: the same
// key then is a new call once the queue has forgotten the ticket, and has the
// same one result.
func (s *Service) remember(ctx context.Context, t Ticket, seq uint64) (uint64, error) {
	data, err := json.Marshal(idempotencyRecord{seq})
	if err != nil {
		return 0, err
	}
	switch _, err := s.opts.Queue.Put(ctx, queue.BucketIdem, t.String(), data, 0); {
	case err == nil:
		return seq, nil
	case errors.Is(err, queue.ErrConflict):
		if first, err := s.once(ctx, t); err == nil {
			return first, nil
		}
	default:
		s.log.Warn("where a call was stored cannot be kept", "error", err)
	}
	return seq, nil
}

// unavailableRetry is when a caller may try again, in seconds.
const unavailableRetry = 2

// refuse returns the failure of a call that could not be stored, or, with an id,
// of one of which that is not known.
func (s *Service) refuse(cause error, id string) *protocol.Failure {
	f := &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: unavailableRetry, Cause: cause, RequestID: id,
		Message: "the satellite's queue is not available: the call was not stored; try again later",
	}
	reason := refusedUnavailable
	switch {
	case id != "":
		reason = refusedUnknown
		f.Message = "the satellite's queue did not answer in time: it is not known whether the call was stored; ask for its state with the request_id, or send it again with the same Idempotency-Key"
	case errors.Is(cause, queue.ErrFull):
		reason = refusedFull
		f.Message = "the satellite's queue is full: the call was not stored; try again later"
	}
	s.opts.Metrics.refused.WithLabelValues(reason).Inc()
	return f
}
