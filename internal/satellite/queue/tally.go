package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// observeEvery is how often the number of outstanding calls is remembered.
const observeEvery = 10 * time.Second

// maxAccepted bounds the numbers that a tally keeps. More than what is accepted
// between two observations means that there are none.
const maxAccepted = 1 << 18

// tally counts what this process did to the number of outstanding calls, beyond
// the last observation that it knows: calls that it accepted, by the numbers that
// they were given, and calls that it took off the queue. Another engine may have
// made that observation a while before this one learns of it: what was accepted in
// between is told by its number.
type tally struct {
	mu       sync.Mutex
	accepted []uint64
	since    time.Time // of the observation
	ended    int64     // calls that were taken off since
}

func (t *tally) accept(k Kind, seq uint64) {
	if k == KindCallback {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.accepted) >= maxAccepted {
		t.accepted = slices.Delete(t.accepted, 0, maxAccepted/2)
	}
	t.accepted = append(t.accepted, seq)
}

func (t *tally) end(k Kind) {
	if k == KindCallback {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended++
}

// after returns what this process added to an observation: that of a moment and of
// the highest number given then.
func (t *tally) after(observed time.Time, last uint64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var n int64
	for _, seq := range t.accepted {
		if seq > last {
			n++
		}
	}
	if t.since.Equal(observed) {
		n -= t.ended
	}
	return n
}

// drop forgets what was counted: the queue that it was of is lost.
func (t *tally) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted, t.ended = nil, 0
}

// begin begins with another queue, of which an observation says nothing yet.
func (t *tally) begin(observed time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted, t.ended, t.since = nil, 0, observed
}

// restart begins anew at an observation: what has its numbers is in it, and so are
// the first ended calls that were taken off.
func (t *tally) restart(observed time.Time, last uint64, ended int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.accepted = slices.DeleteFunc(t.accepted, func(seq uint64) bool { return seq <= last })
	if !t.since.Equal(observed) {
		t.since, t.ended = observed, t.ended-ended
	}
}

func (t *tally) endedSoFar() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.ended
}

// addLost adds to a loss that another engine found what only this one knows of
// the queue that was lost: the calls that it accepted since the last observation.
func (q *Queue) addLost(ctx context.Context, known MarkerState) (MarkerState, error) {
	q.mu.Lock()
	mine := q.incarnation
	q.mu.Unlock()
	i := slices.IndexFunc(known.Losses, func(l Loss) bool { return l.Incarnation == mine && len(l.Erased) == 0 })
	if mine == "" || mine == known.Incarnation || i < 0 {
		return known, nil
	}
	more := q.tally.after(known.Losses[i].Observed, known.Losses[i].LastSeq)
	if more == 0 {
		return known, nil
	}
	next := known
	next.Losses = slices.Clone(known.Losses)
	next.Losses[i].Calls = uint64(max(0, int64(next.Losses[i].Calls)+more))
	if err := q.opts.Marker.Save(ctx, next); err != nil {
		return known, fmt.Errorf("remember how many calls are lost: %w", err)
	}
	q.opts.Log.Error("queue lost: this engine had accepted calls of it", "calls", more, "incarnation", mine)
	q.tally.drop()
	return q.opts.Marker.Load(ctx)
}

// learn takes over what is remembered of the queue.
func (q *Queue) learn(s MarkerState) {
	q.mu.Lock()
	mine := q.incarnation
	q.marker = s
	q.mu.Unlock()
	if mine == "" || mine == s.Incarnation {
		q.tally.restart(s.Observed, s.LastSeq, q.tally.endedSoFar())
	}
}

// Observe remembers how many calls are outstanding, so that a loss can be told
// with its number. Each engine calls it every few seconds; it saves every ten
// seconds at most, and only a number that has changed.
func (q *Queue) Observe(ctx context.Context) error {
	return q.observe(ctx, observeEvery)
}

func (q *Queue) observe(ctx context.Context, every time.Duration) error {
	if q.opts.Marker == nil {
		return nil
	}
	if err := q.settled(); err != nil {
		return err
	}
	state, err := q.opts.Marker.Load(ctx)
	if err != nil {
		return fmt.Errorf("read the queue's incarnation: %w", err)
	}
	q.learn(state)
	now := q.opts.Now().UTC()
	if age := now.Sub(state.Observed); age >= 0 && age < every {
		return nil
	}
	ended := q.tally.endedSoFar()
	calls, f, err := q.outstanding(ctx)
	if err != nil {
		return err
	}
	if f.incarnation != state.Incarnation || (calls == state.Outstanding && f.last == state.LastSeq) {
		return nil
	}
	state.Outstanding, state.LastSeq, state.Observed = calls, max(f.last, state.LastSeq), now
	if err := q.opts.Marker.Save(ctx, state); err != nil {
		return fmt.Errorf("remember how many calls are outstanding: %w", err)
	}
	q.tally.restart(now, state.LastSeq, ended)
	q.learn(state)
	return nil
}

// outstanding returns how many calls are stored, and where.
func (q *Queue) outstanding(ctx context.Context) (uint64, found, error) {
	s, err := q.stream(ctx, workStream)
	if err != nil {
		return 0, found{}, asked(err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(workSubject+".>"))
	if err != nil {
		return 0, found{}, asked(err)
	}
	var calls uint64
	for subject, n := range info.State.Subjects {
		if parts := strings.Split(subject, "."); len(parts) > 1 && parts[1] != string(KindCallback) {
			calls += n
		}
	}
	return calls, found{incarnation: info.Config.Metadata[incarnationKey], last: info.State.LastSeq}, nil
}

// Losses returns what the queue came back without, oldest first.
func (q *Queue) Losses() []Loss {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.marker.Losses)
}
