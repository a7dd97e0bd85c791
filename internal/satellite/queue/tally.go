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

// tally counts what this process did to the number of outstanding calls since
// that was last remembered.
type tally struct {
	mu    sync.Mutex
	since time.Time
	n     int64
}

func (t *tally) add(k Kind, n int64) {
	if k == KindCallback {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n += n
}

// outstanding returns how many calls the queue held, as far as is known.
func (t *tally) outstanding(s MarkerState) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := int64(s.Outstanding)
	if t.since.Equal(s.Observed) {
		n += t.n
	}
	return uint64(max(n, 0))
}

// drop forgets what was counted: the queue that it was of is lost.
func (t *tally) drop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n = 0
}

// restart begins anew at an observation. What was counted up to it is in it.
func (t *tally) restart(at time.Time, counted int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.Equal(at) {
		t.since, t.n = at, t.n-counted
	}
}

// after returns what was counted since an observation, 0 when that is another
// than this count's.
func (t *tally) after(at time.Time) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.since.Equal(at) {
		return 0
	}
	return t.n
}

func (t *tally) counted() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
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
	more := q.tally.after(known.Losses[i].Observed)
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
	q.tally.restart(s.Observed, q.tally.counted())
	q.mu.Lock()
	q.marker = s
	q.mu.Unlock()
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
	counted := q.tally.counted()
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
	q.tally.restart(now, counted)
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
