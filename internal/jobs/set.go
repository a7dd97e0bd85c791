package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
)

// DefaultTimeout is how long one attempt at a job may take that says nothing else.
const DefaultTimeout = time.Minute

// workersOf is how many jobs of the default queue a server runs at once, and of
// another queue.
const (
	workersOfDefault = 4
	workersOfQueue   = 2
)

// Kind is how jobs of one kind are done.
type Kind[T river.JobArgs] struct {
	// Work does a job. It is called again, perhaps on another server, when it
	// returns an error or its server ends, so it must be repeatable. An error of
	// Cancel ends the job at once.
	Work func(ctx context.Context, job *river.Job[T]) error
	// Timeout bounds one attempt; 0 is DefaultTimeout. What takes longer than some
	// minutes is better done in parts, with river.JobSnooze(0) between them: the
	// next part may run on another server.
	Timeout time.Duration
	// Every has one job made with T's zero value each time that this has passed,
	// by one server; 0 is never. It is whole seconds, and a day at most.
	Every time.Duration
}

// Set is the kinds of jobs that a server can do. The zero value is empty.
type Set struct {
	workers  *river.Workers
	queues   map[string]river.QueueConfig
	periodic []*river.PeriodicJob
}

// Add adds a kind of jobs, named by T. A second kind of the same name is a fault
// of the program: it panics. When T has InsertOpts with a Queue, that queue has
// workers of its own, so that what takes long does not hold up the rest.
func Add[T river.JobArgs](s *Set, kind Kind[T]) {
	if s.workers == nil {
		s.workers, s.queues = river.NewWorkers(), map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: workersOfDefault}}
	}
	var zero T
	if kind.Every%time.Second != 0 || kind.Every < 0 || kind.Every > 24*time.Hour {
		panic(fmt.Sprintf("jobs: %s is due every %s, which is not whole seconds up to a day", zero.Kind(), kind.Every))
	}
	river.AddWorker(s.workers, &worker[T]{kind: kind})
	options := river.InsertOpts{}
	if args, ok := any(zero).(river.JobArgsWithInsertOpts); ok {
		options = args.InsertOpts()
	}
	if options.Queue != "" && options.Queue != river.QueueDefault {
		s.queues[options.Queue] = river.QueueConfig{MaxWorkers: workersOfQueue}
	}
	if kind.Every == 0 {
		return
	}
	// Every server that is elected makes one at once, unless the period has one.
	options.UniqueOpts = river.UniqueOpts{ByPeriod: kind.Every}
	due := func() (river.JobArgs, *river.InsertOpts) { return zero, &options }
	s.periodic = append(s.periodic, river.NewPeriodicJob(river.PeriodicInterval(kind.Every), due, &river.PeriodicJobOpts{ID: zero.Kind(), RunOnStart: true}))
}

// Cancel returns an error of Kind.Work by which a job ends for good: trying again
// would change nothing.
func Cancel(err error) error { return river.JobCancel(err) }

type worker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	kind Kind[T]
}

// Work is part of river.Worker.
func (w *worker[T]) Work(ctx context.Context, job *river.Job[T]) error { return w.kind.Work(ctx, job) }

// Timeout is part of river.Worker.
func (w *worker[T]) Timeout(*river.Job[T]) time.Duration { return w.kind.Timeout }
