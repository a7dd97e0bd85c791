package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// operator is the engine's queue as its operator sees it.
type operator struct {
	e *Engine
	d *durable
}

// seen is what an engine last saw of its queue, beside its status.
type seen struct {
	opened time.Time
	drains atomic.Int32 // drainUnknown, drainOff or drainOn
	dead   atomic.Pointer[deadCount]
	posts  atomic.Uint64 // callbacks that wait
}

// operatorHandler answers the operator's routes.
func (e *Engine) operatorHandler() http.Handler {
	return operate.Handler(operate.Options{
		Token: e.Token(), Log: e.log, Now: e.now,
		Launch:   func() string { return e.table.Load().Launch },
		Starting: func() bool { return e.queueSettings() != nil },
		Queue: func() operate.Queue {
			if d := e.durable.Load(); d != nil {
				return operator{e, d}
			}
			return nil
		},
		DeadLetters: func() operate.DeadLetterStore {
			if d := e.durable.Load(); d != nil {
				return deadLetters{d}
			}
			return nil
		},
	})
}

// lookEvery is how often an engine looks at its queue, unasked.
const lookEvery = 5 * time.Second

// watchQueue looks at the queue for metrics, and keeps outside of it how much it
// has, until ctx ends.
func (e *Engine) watchQueue(ctx context.Context) {
	said := ""
	for {
		pause := lookEvery
		if d := e.durable.Load(); d != nil {
			looking, cancel := context.WithTimeout(ctx, lookEvery)
			status := operator{e, d}.Status(looking)
			e.queueStatus.Store(&status)
			if n, err := callback.Pending(looking, d.queue); err == nil {
				d.seen.posts.Store(n)
			}
			// One of several engines is the first to write it down.
			err := d.queue.Observe(looking)
			cancel()
			switch {
			case err == nil || errors.Is(err, queue.ErrConflict) || errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil:
				said = ""
			case said != err.Error():
				said = err.Error()
				e.log.Warn("how many calls the queue holds cannot be noted: were it lost now, the number that is told would be an older one", "error", err)
			}
		} else {
			e.queueStatus.Store(nil)
			pause = queueRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Status returns how the queue does.
func (o operator) Status(ctx context.Context) operate.Status {
	state := o.d.queue.State(ctx)
	s := operate.Status{
		Draining: o.d.refuses(ctx), Storage: o.d.settings.Storage, Used: state.Used, Limit: state.Limit, Dead: state.Dead,
		Nodes: []operate.Node{}, Algorithms: []operate.Algorithm{}, Lost: []operate.Loss{},
	}
	for _, n := range state.Nodes {
		s.Nodes = append(s.Nodes, operate.Node{Name: n.Name, Ready: n.Ready, Reason: n.Reason, Free: n.Free, Total: n.Total})
	}
	for _, l := range state.Losses {
		s.Lost = append(s.Lost, operate.Loss{At: l.At, Calls: l.Calls})
	}
	s.State, s.Reason = o.queueHealth(&state)
	if !state.Reachable {
		return s
	}
	dead := o.d.countDead(ctx, state.Dead)
	for _, a := range o.e.served() {
		p, err := o.d.queue.Pending(ctx, queue.KindCall, a.VanityURL)
		if err != nil {
			continue // it is told as soon as it can be asked
		}
		line := operate.Algorithm{VanityURL: a.VanityURL, Waiting: p.Waiting, Running: p.Running, Dead: dead[a.VanityURL]}
		if !p.Oldest.IsZero() {
			line.OldestSeconds = int64(max(o.e.now().Sub(p.Oldest), 0) / time.Second)
		}
		s.Waiting, s.Running = s.Waiting+p.Waiting, s.Running+p.Running
		s.OldestSeconds = max(s.OldestSeconds, line.OldestSeconds)
		s.Algorithms = append(s.Algorithms, line)
	}
	return s
}

// queueHealth returns the state that a queue is in, and why it is not ok.
func (o operator) queueHealth(state *queue.State) (name, reason string) {
	if err := o.d.queue.Ready(); err != nil {
		return operate.StateUnreachable, err.Error()
	}
	if !state.Reachable {
		return operate.StateUnreachable, state.Reason
	}
	var away []string
	for _, n := range state.Nodes {
		if !n.Ready {
			away = append(away, n.Name+": "+n.Reason)
		}
	}
	missing := o.d.settings.Replicas - len(state.Nodes)
	if len(away) == 0 && missing > 0 && time.Since(o.d.seen.opened) > nodesWithin {
		away = append(away, fmt.Sprintf("%d of %d nodes were not heard of", missing, o.d.settings.Replicas))
	}
	if len(away) > 0 {
		return operate.StateDegraded, strings.Join(away, "; ")
	}
	return operate.StateOK, ""
}

// nodesWithin is when all nodes have been heard of that are there.
const nodesWithin = 15 * time.Second

// deadCount is how many dead letters each algorithm has, as of a total.
type deadCount struct {
	total uint64
	at    time.Time
	by    map[string]uint64
}

// deadFor is how long a count is good though the total is the same.
const deadFor = time.Minute

// countDead returns how many dead letters each algorithm has. Their keys are read
// again when their number is another.
func (d *durable) countDead(ctx context.Context, total uint64) map[string]uint64 {
	if total == 0 {
		return nil
	}
	if c := d.seen.dead.Load(); c != nil && c.total == total && time.Since(c.at) < deadFor {
		return c.by
	}
	by, err := d.calls.CountDead(ctx)
	if err != nil {
		return nil
	}
	d.seen.dead.Store(&deadCount{total, time.Now(), by})
	return by
}

// Whether new calls are refused is a record in the queue, so that all engines know
// it, those too that start later.
const (
	drainKey    = "operate.drain"
	drainSignal = "operate.drain"
)

// What is known of whether new calls are refused.
const (
	drainUnknown int32 = iota
	drainOff
	drainOn
)

// Drain has all engines refuse new calls, or take them again.
func (o operator) Drain(ctx context.Context, on bool) error {
	var err error
	if on {
		err = o.d.queue.Set(ctx, queue.BucketSchedule, drainKey, []byte("on"))
	} else {
		err = o.d.queue.Delete(ctx, queue.BucketSchedule, drainKey)
	}
	if err != nil {
		return notNow(err)
	}
	o.d.queue.Signal(drainSignal, nil)
	o.d.readDrain(ctx)
	return nil
}

// readDrain reads whether new calls are refused. When that cannot be read it stays
// as it was.
func (d *durable) readDrain(ctx context.Context) {
	_, _, err := d.queue.Record(ctx, queue.BucketSchedule, drainKey)
	switch {
	case err == nil:
		d.seen.drains.Store(drainOn)
	case errors.Is(err, queue.ErrNotFound):
		d.seen.drains.Store(drainOff)
	}
}

// refuses reads and reports whether new calls are refused.
func (d *durable) refuses(ctx context.Context) bool {
	d.readDrain(ctx)
	return d.seen.drains.Load() == drainOn
}

// drained returns the failure of a new call while none are taken, else nil.
func (d *durable) drained(ctx context.Context) *protocol.Failure {
	if d.seen.drains.Load() == drainUnknown {
		d.readDrain(ctx)
	}
	if d.seen.drains.Load() != drainOn {
		return nil
	}
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 30,
		Message: "the satellite takes no new asynchronous calls at the moment, since its operator said so: the call was not stored; try again later",
	}
}

// notNow returns an error of the queue as an operator reads it.
func notNow(err error) error {
	switch {
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrFull), errors.Is(err, queue.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: %w", operate.ErrUnavailable, err)
	case errors.Is(err, queue.ErrConflict):
		return fmt.Errorf("%w: %w", operate.ErrConflict, err)
	}
	return err
}

// deadLetters are a queue's dead letters as its operator sees them.
type deadLetters struct{ d *durable }

// List returns the newest.
func (l deadLetters) List(ctx context.Context, vanityURL string, limit int) (operate.DeadLetters, error) {
	list, total, err := l.d.calls.DeadLetters(ctx, vanityURL, limit)
	if err != nil {
		return operate.DeadLetters{}, notNow(err)
	}
	out := operate.DeadLetters{Items: []operate.DeadLetter{}, Total: total}
	for _, letter := range list {
		short := ofDeadLetter(&letter)
		short.Input, short.LastOutput, short.ContentType = nil, nil, ""
		out.Items = append(out.Items, short)
	}
	return out, nil
}

// Show returns one, all of it.
func (l deadLetters) Show(ctx context.Context, id string) (operate.DeadLetter, error) {
	letter, err := l.d.calls.DeadLetter(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		return operate.DeadLetter{}, fmt.Errorf("%s is no dead letter (any more): %w", id, operate.ErrNotFound)
	}
	if err != nil {
		return operate.DeadLetter{}, notNow(err)
	}
	return ofDeadLetter(letter), nil
}

func ofDeadLetter(l *async.DeadLetterEntry) operate.DeadLetter {
	return operate.DeadLetter{
		ID: l.ID, VanityURL: l.VanityURL, Reason: l.Reason, Attempts: l.Attempts, CreatedAt: l.CreatedAt, DiedAt: l.DiedAt,
		ContentType: l.ContentType(), InputBytes: len(l.Input), Input: l.Input, LastStatus: l.LastStatus, LastOutput: l.LastOutput,
	}
}

// Retry puts dead letters back into the queue.
func (l deadLetters) Retry(ctx context.Context, ids []string) (operate.BulkResult, error) {
	return l.each(ctx, ids, l.d.calls.RetryDead)
}

// Drop forgets dead letters.
func (l deadLetters) Drop(ctx context.Context, ids []string) (operate.BulkResult, error) {
	return l.each(ctx, ids, l.d.calls.DropDead)
}

func (l deadLetters) each(ctx context.Context, ids []string, do func(context.Context, []string) (int, []async.ItemError, error)) (operate.BulkResult, error) {
	n, left, err := do(ctx, ids)
	l.d.seen.dead.Store(nil)
	if err != nil {
		return operate.BulkResult{}, notNow(err)
	}
	done := operate.BulkResult{Done: n, Failed: []operate.ItemError{}}
	for _, u := range left {
		done.Failed = append(done.Failed, operate.ItemError{ID: u.ID, Reason: cmp.Or(u.Reason, "it could not be done")})
	}
	slices.SortFunc(done.Failed, func(a, b operate.ItemError) int { return strings.Compare(a.ID, b.ID) })
	return done, nil
}
