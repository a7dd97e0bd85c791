package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// errLeaseLost is the cause with which a job's context ends when its server could
// not show that it lives: another one runs the job by now.
var errLeaseLost = errors.New("this server lost the database for so long that another one runs the job")

// lease ends the jobs of a server that others take for gone.
type lease struct {
	river.MiddlewareDefaults
	mu      sync.Mutex
	renewed time.Time
	running map[*context.CancelCauseFunc]struct{}
}

func newLease() *lease { return &lease{running: map[*context.CancelCauseFunc]struct{}{}} }

// renew notes when this server last began to show itself, and was heard.
func (l *lease) renew(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = at
}

// endWhenOlder ends every job when the server was last heard longer ago than age.
func (l *lease) endWhenOlder(age time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.renewed) < age {
		return
	}
	for cancel := range l.running {
		(*cancel)(errLeaseLost)
	}
}

// Work is part of rivertype.WorkerMiddleware.
func (l *lease) Work(ctx context.Context, _ *rivertype.JobRow, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	l.mu.Lock()
	l.running[&cancel] = struct{}{}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.running, &cancel)
		l.mu.Unlock()
		cancel(nil)
	}()
	err := do(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errLeaseLost) {
		return cause
	}
	return err
}
