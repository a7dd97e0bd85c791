package upkeep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// deadLetters are a queue's dead letters as its operator sees them.
type deadLetters struct {
	s *Service
	d *durable.Session
}

// List returns the newest.
func (l deadLetters) List(ctx context.Context, vanityURL string, limit int) (operate.DeadLetters, error) {
	list, total, err := l.d.Calls.DeadLetters(ctx, vanityURL, limit)
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
	letter, err := l.d.Calls.DeadLetter(ctx, id)
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
	return l.each(ctx, ids, l.d.Calls.RetryDead)
}

// Drop forgets dead letters.
func (l deadLetters) Drop(ctx context.Context, ids []string) (operate.BulkResult, error) {
	return l.each(ctx, ids, l.d.Calls.DropDead)
}

func (l deadLetters) each(ctx context.Context, ids []string, do func(context.Context, []string) (int, []async.ItemError, error)) (operate.BulkResult, error) {
	n, left, err := do(ctx, ids)
	l.s.dead.Store(nil)
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

// deadCount is how many dead letters each algorithm has, as of a total.
type deadCount struct {
	of    *durable.Session
	total uint64
	at    time.Time
	by    map[string]uint64
}

// deadFor is how long a count is good though the total is the same.
const deadFor = time.Minute

// countDead returns how many dead letters each algorithm has. Their keys are read
// again when their number is another.
func (s *Service) countDead(ctx context.Context, d *durable.Session, total uint64) map[string]uint64 {
	if total == 0 {
		return nil
	}
	if c := s.dead.Load(); c != nil && c.of == d && c.total == total && time.Since(c.at) < deadFor {
		return c.by
	}
	by, err := d.Calls.CountDead(ctx)
	if err != nil {
		return nil
	}
	s.dead.Store(&deadCount{d, total, time.Now(), by})
	return by
}
