package async

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// activeCall is a call that was taken off the queue and has not been settled.
type activeCall struct {
	s      *Service
	d      *queue.Delivery
	call   *call
	ticket Ticket
	id     string
	cut    context.CancelCauseFunc
	start  time.Time

	excused int // deliveries before this one that were no attempt

	mu  sync.Mutex
	rec *record // what is stored of it; nil is nothing
	rev uint64
}

// Backoffs: between the runs of a call, and between attempts to store what became
// of it.
var (
	runBackoff   = retry.Backoff{First: time.Second, Most: time.Minute, Jitter: 0.5}
	storeBackoff = retry.Backoff{First: 100 * time.Millisecond, Most: 5 * time.Second, Jitter: 0.5}
)

const (
	// noReplicaRetry is when a call is tried again that no replica took.
	noReplicaRetry = 5 * time.Second
	// lastStore is how long storing may take once the engine stops.
	lastStore = 5 * time.Second
	// recordTimeout bounds one read or write of a record.
	recordTimeout = 5 * time.Second
)

// handle runs a call that was taken off the queue, on a slot that it gives back.
func (s *Service) handle(slot Slot, d *queue.Delivery) {
	defer func() {
		if p := recover(); p != nil { // it comes back, and is a dead letter after a few times
			s.log.Error("the engine panicked over a durable call", "seq", d.Seq, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	w, instead := s.open(d)
	if instead != nil {
		slot.Release()
		instead()
		return
	}
	ctx, cut := context.WithCancelCause(s.running)
	defer cut(nil)
	w.cut = cut
	s.mu.Lock()
	s.working[w.ticket] = w
	s.mu.Unlock()
	tended := make(chan struct{})
	tending, stopTending := context.WithCancel(context.WithoutCancel(ctx))
	go func() { defer close(tended); w.keepAlive(tending) }()
	defer func() {
		stopTending()
		<-tended
		s.mu.Lock()
		delete(s.working, w.ticket)
		s.mu.Unlock()
	}()
	out := slot.Run(ctx, w.input())
	defer out.Release()
	w.end(ctx, &out)
}

// open reads a delivery and what is known of its call, and returns what is to be
// done instead when it is not to run.
func (s *Service) open(d *queue.Delivery) (w *activeCall, instead func()) {
	c, ticket, err := decodeCall(s.opts.IDs, d.Algorithm, d.Header, d.Data, s.now())
	if err != nil {
		return nil, func() { s.storeUnreadable(d, err) }
	}
	w = &activeCall{s: s, d: d, call: c, ticket: ticket, start: s.now(), id: s.opts.IDs.Encode(ticket, Position{Seq: d.Seq})}
	rec, rev, err := s.record(s.running, ticket)
	switch {
	case err != nil:
		return w, func() {
			s.log.Warn("a durable call waits: what is known of it cannot be read", "request_id", w.id, "error", err)
			_ = d.Retry(noReplicaRetry)
		}
	case rec != nil && rec.State.Ended():
		return w, func() { w.finish(s.running, rec) }
	case rec != nil:
		w.rec, w.rev, w.excused = rec, rev, rec.ExcusedAttempts
	}
	if w.attempt() > s.opts.Attempts {
		reason := fmt.Sprintf("it was begun %d times and never ended: the engine or the queue went each time", s.opts.Attempts)
		return w, func() { w.giveUp(s.running, reason, nil) }
	}
	return w, nil
}

// attempt returns which run of the call this is, 1 the first.
func (w *activeCall) attempt() int { return max(1, w.d.Delivered-w.excused) }

func (w *activeCall) input() Input {
	return Input{
		RequestID: w.id, VanityURL: w.d.Algorithm, KeyID: w.call.KeyID,
		ContentType: w.call.ContentType, Encoding: w.call.Encoding, Query: w.call.Query,
		Traceparent: w.call.Traceparent, Tracestate: w.call.Tracestate, Body: w.d.Data,
	}
}

// next returns the call's record in a state.
func (w *activeCall) next(state State) *record {
	return &record{
		State: state, Algorithm: w.call.Algorithm, Seq: w.d.Seq, Attempts: w.attempt(),
		CreatedAt: w.call.CreatedAt, StartedAt: w.start.UTC(), Callback: w.call.Callback, KeyID: w.call.KeyID,
		ExcusedAttempts: w.excused,
	}
}

// keepAlive tells the queue that the call is being worked on, records that it runs once
// that takes long, and sees when it was cancelled, until ctx ends.
func (w *activeCall) keepAlive(ctx context.Context) {
	long := time.NewTimer(w.s.opts.RunningAfter)
	defer long.Stop()
	working := time.NewTicker(queue.WorkingEvery)
	defer working.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-long.C:
			if _, err := w.store(ctx, w.next(Running)); err != nil && ctx.Err() == nil {
				w.s.log.Debug("record that a durable call runs", "request_id", w.id, "error", err)
			}
		case <-working.C:
			if err := w.d.Working(); err != nil {
				w.s.log.Warn("tell the queue that a durable call runs", "request_id", w.id, "error", err)
			}
			if rec, _, err := w.s.record(ctx, w.ticket); err == nil && rec != nil && rec.State == Cancelled {
				w.cut(ErrCancelled)
			}
		}
	}
}

// store makes next the call's record, and leaves it alone when the call has ended
// already. It returns what is the record now.
func (w *activeCall) store(ctx context.Context, next *record) (*record, error) {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.rec != nil && w.rec.State.Ended() {
			return w.rec, nil
		}
		data, err := next.encode()
		if err != nil {
			return nil, err
		}
		rev, err := w.s.opts.Queue.Put(ctx, queue.BucketCall, w.ticket.String(), data, w.rev)
		if err == nil {
			w.rec, w.rev = next, rev
			return next, nil
		}
		if !errors.Is(err, queue.ErrConflict) {
			return nil, err
		}
		if w.rec, w.rev, err = w.s.record(ctx, w.ticket); err != nil {
			return nil, err
		}
	}
}

// storeUntilStopped stores next and retries until it is stored or the engine stops.
func (w *activeCall) storeUntilStopped(ctx context.Context, next *record) (*record, error) {
	for attempt := 0; ; attempt++ {
		stored, err := w.store(context.WithoutCancel(ctx), next)
		if err == nil || errors.Is(err, queue.ErrInvalid) {
			return stored, err
		}
		w.s.log.Warn("what became of a durable call cannot be stored yet", "request_id", w.id, "error", err)
		select {
		case <-w.s.running.Done():
			return nil, err
		case <-time.After(storeBackoff.Delay(attempt)):
		}
	}
}

// end stores what became of a run, and takes the call off the queue or gives it
// back.
func (w *activeCall) end(ctx context.Context, out *Outcome) {
	if out.Ended == protocol.OutcomeCanceled {
		switch cause := context.Cause(ctx); {
		case errors.Is(cause, ErrCancelled): // whoever cancelled has recorded it
			w.done(ctx)
			return
		case cause != nil:
			w.release(ctx)
			return
		}
	}
	problem := &Problem{Message: out.Message, ErrorType: out.ErrorType}
	again := out.Retry || w.s.opts.RetryTimeouts && out.Ended == protocol.OutcomeTimeout
	switch {
	case again && out.Ended == protocol.OutcomeNone:
		w.retry(ctx, problem, true, noReplicaRetry)
	case again && w.attempt() < w.s.opts.Attempts:
		w.s.opts.Metrics.retries.WithLabelValues(w.d.Algorithm).Inc()
		w.retry(ctx, problem, false, runBackoff.Delay(w.attempt()-1))
	case again:
		reason := out.Message
		if out.Cause != "" {
			reason += ": " + out.Cause
		}
		w.giveUp(ctx, reason, out)
	default:
		next := w.next(Succeeded)
		if next.FinishedAt = w.s.now().UTC(); out.Ended != protocol.OutcomeOK {
			next.State, next.Error = Failed, problem
		}
		next.Status, next.ContentType, next.body = out.Status, out.ContentType, out.Body
		w.settle(ctx, next)
	}
}

// settle ends the call with next, and takes it off the queue.
func (w *activeCall) settle(ctx context.Context, next *record) {
	stored, err := w.storeUntilStopped(ctx, next)
	if errors.Is(err, queue.ErrInvalid) { // larger than the queue takes
		next.State, next.Error = Failed, &Problem{Message: "the result cannot be stored: " + err.Error(), ErrorType: "TooLargeError"}
		next.Status, next.ContentType, next.body = 0, "", nil
		stored, err = w.storeUntilStopped(ctx, next)
	}
	if err != nil {
		return // it comes back
	}
	if stored == next {
		w.s.opts.Metrics.finished.WithLabelValues(w.d.Algorithm, string(next.State)).Inc()
	}
	w.finish(ctx, stored)
}

// finish has the caller called back who asked for it, and takes a call off the
// queue whose end is recorded.
func (w *activeCall) finish(ctx context.Context, rec *record) {
	if rec.Callback != "" && rec.State != Cancelled && w.s.opts.OnEnded != nil {
		ended := EndedCall{Ticket: w.ticket.String(), RequestID: w.id, KeyID: rec.KeyID, URL: rec.Callback}
		for attempt := 0; ; attempt++ {
			err := w.s.opts.OnEnded(context.WithoutCancel(ctx), ended)
			if err == nil {
				break
			}
			w.s.log.Warn("a callback cannot be stored yet", "request_id", w.id, "error", err)
			select {
			case <-w.s.running.Done():
				return // it comes back
			case <-time.After(storeBackoff.Delay(attempt)):
			}
		}
	}
	w.done(ctx)
}

// done takes the call off the queue, and wakes whoever waits for it.
func (w *activeCall) done(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastStore)
	defer cancel()
	if err := w.d.Done(ctx); err != nil {
		w.s.log.Warn("a durable call that has ended is still in the queue, and is looked at again", "request_id", w.id, "error", err)
	}
	w.s.opts.Queue.Signal(signalEnded, []byte(w.ticket.String()))
}

// retry gives the call back for another run after delay; an excused run does not
// count as an attempt.
func (w *activeCall) retry(ctx context.Context, problem *Problem, forgiven bool, delay time.Duration) {
	next := w.next(Queued)
	next.Error = problem
	if forgiven {
		next.ExcusedAttempts++
		next.Attempts--
	}
	stored, err := w.storeUntilStopped(ctx, next)
	if err != nil {
		return
	}
	if stored != next { // it was cancelled
		w.done(ctx)
		return
	}
	if err := w.d.Retry(delay); err != nil {
		w.s.log.Warn("give a durable call back", "request_id", w.id, "error", err)
	}
}

// release returns a call to the queue that was cut off because the engine stops. It
// does not count as an attempt.
func (w *activeCall) release(ctx context.Context) {
	next := w.next(Queued)
	next.ExcusedAttempts++
	next.Attempts--
	if _, err := w.store(context.WithoutCancel(ctx), next); err != nil {
		return // it comes back once nothing was heard of it for a while
	}
	_ = w.d.Retry(0)
}

// giveUp makes the call a dead letter. Out is how its last run ended, nil when that
// is unknown.
func (w *activeCall) giveUp(ctx context.Context, reason string, out *Outcome) {
	next := w.next(Dead)
	next.FinishedAt = w.s.now().UTC()
	next.Attempts = min(next.Attempts, w.s.opts.Attempts)
	next.Error = &Problem{Message: reason}
	letter := DeadLetter{
		RequestID: w.id, VanityURL: w.d.Algorithm, Reason: reason, Attempts: next.Attempts,
		CreatedAt: w.call.CreatedAt, DiedAt: next.FinishedAt, Header: w.d.Header, Input: w.d.Data,
	}
	if out != nil {
		next.Status, next.ContentType, next.body = out.Status, out.ContentType, out.Body
		next.Error = &Problem{Message: out.Message, ErrorType: out.ErrorType}
		letter.LastStatus, letter.LastOutput = out.Status, out.Body[:min(len(out.Body), maxLastOutput)]
	}
	w.s.log.Error("a durable call is a dead letter now", "request_id", w.id, "algorithm", w.d.Algorithm, "attempts", next.Attempts, "reason", reason)
	if w.s.storeDead(ctx, deadPrefix(w.d.Algorithm)+w.ticket.String(), &letter) {
		w.settle(ctx, next)
	}
}

// storeUnreadable makes a message a dead letter that cannot be read.
func (s *Service) storeUnreadable(d *queue.Delivery, reason error) {
	s.log.Error("a message in the queue cannot be read and is a dead letter now", "algorithm", d.Algorithm, "seq", d.Seq, "reason", reason)
	s.opts.Metrics.finished.WithLabelValues(d.Algorithm, string(Dead)).Inc()
	letter := DeadLetter{
		VanityURL: d.Algorithm, Reason: reason.Error(), Attempts: d.Delivered,
		CreatedAt: d.Stored, DiedAt: s.now().UTC(), Header: d.Header, Input: d.Data,
	}
	if s.storeDead(s.running, fmt.Sprint(deadPrefix(d.Algorithm), unreadable, d.Seq), &letter) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.running), lastStore)
		defer cancel()
		_ = d.Done(ctx)
	}
}

// storeDead stores a dead letter, and reports whether it did before the engine
// stopped.
func (s *Service) storeDead(ctx context.Context, key string, letter *DeadLetter) bool {
	data, err := json.Marshal(letter)
	for attempt := 0; err == nil; attempt++ {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		failed := s.opts.Queue.Set(within, queue.BucketDead, key, data)
		cancel()
		if failed == nil {
			return true
		}
		s.log.Warn("a dead letter cannot be stored yet", "key", key, "error", failed)
		select {
		case <-s.running.Done():
			return false
		case <-time.After(storeBackoff.Delay(attempt)):
		}
	}
	s.log.Error("write a dead letter", "key", key, "error", err)
	return false
}
