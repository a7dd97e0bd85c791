package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// How a server shows that it lives, and when it counts as gone. A job whose server
// is gone is handed to another; a server that could not show itself for that long
// has stopped its own by then.
const (
	keepPeriod   = 5 * time.Second
	goneAfter    = 20 * time.Second
	forgetAfter  = 24 * time.Hour
	attemptsMost = 10
	pollListens  = 5 * time.Second // how often jobs are looked for, where new ones are heard of
	pollOnly     = time.Second
)

// Config is what a Runner is made of. Log may be nil.
type Config struct {
	DB      *postgres.DB
	Set     *Set
	Version string // of the server
	// PollOnly looks for new jobs each second, rather than being told of them: for
	// databases behind a pooler in transaction mode, which loses notifications.
	PollOnly bool
	// Grace is how long jobs may go on when the Runner stops, before their contexts
	// end; 0 is not at all.
	Grace  time.Duration
	Log    *slog.Logger
	Tracer *tracing.Tracer // nil makes no spans

	goneAfter, keepPeriod time.Duration // of tests; 0 is the constant
}

// Runner does jobs on this server.
type Runner struct {
	config  Config
	metrics *metrics
	lease   *lease
	server  postgres.Server
	end     context.CancelFunc // of keeping
	ended   sync.WaitGroup

	mu       sync.Mutex
	client   *river.Client[pgx.Tx] // nil until the database takes writes
	stopping bool
}

// Start begins to do jobs. A database that takes no writes, or is away, is waited
// for in the background. ctx bounds the start alone: Stop ends it.
func Start(ctx context.Context, c Config) (*Runner, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.goneAfter == 0 {
		c.goneAfter, c.keepPeriod = goneAfter, keepPeriod
	}
	if c.Set.workers == nil {
		return nil, errors.New("start jobs: there are no kinds of jobs")
	}
	r := &Runner{
		config: c, metrics: newMetrics(c.DB), lease: newLease(),
		server: postgres.Server{ID: uuid.NewString(), Version: c.Version, StartedAt: time.Now().UTC()},
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	if err := r.begin(ctx, running); err != nil {
		if constellation.KindOf(err) != constellation.KindUnavailable {
			end()
			return nil, err
		}
		c.Log.WarnContext(ctx, "jobs wait for a database that takes writes", "error", err)
	}
	r.end = end
	r.ended.Go(func() { r.keeping(running) })
	return r, nil
}

// begin shows that this server lives and starts its client, unless it is stopping.
func (r *Runner) begin(ctx, running context.Context) error {
	if err := r.keep(ctx); err != nil {
		return err
	}
	poll := pollListens
	if r.config.PollOnly {
		poll = pollOnly
	}
	client, err := river.NewClient(riverpgxv5.New(r.config.DB.Pool()), &river.Config{
		ID: r.server.ID, Workers: r.config.Set.workers, Queues: r.config.Set.queues, PeriodicJobs: r.config.Set.periodic,
		Logger: quiet(r.config.Log), JobTimeout: DefaultTimeout, MaxAttempts: attemptsMost,
		PollOnly: r.config.PollOnly, FetchPollInterval: poll, SoftStopTimeout: max(r.config.Grace, time.Millisecond),
		Middleware: []rivertype.Middleware{&traces{tracer: r.config.Tracer}, r.metrics, r.lease},
	})
	if err != nil {
		return fmt.Errorf("make jobs: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return nil
	}
	if err := client.Start(running); err != nil {
		return postgres.Translate(err, "start jobs")
	}
	r.client = client
	return nil
}

// begun reports whether the client runs.
func (r *Runner) begun() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.client != nil
}

// Grace is how long jobs may go on when the Runner stops.
func (r *Runner) Grace() time.Duration { return r.config.Grace }

// Stop takes no more jobs, lets those that run end within the grace, and hands
// those that do not back. It waits for all of this, at most until ctx ends.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopping = true
	client := r.client
	r.mu.Unlock()
	var err error
	if client != nil {
		err = client.Stop(ctx)
	}
	r.end()
	r.ended.Wait()
	if err != nil {
		return fmt.Errorf("stop jobs: %w", err)
	}
	if client == nil { // the database never took a write
		return nil
	}
	return r.config.DB.RemoveServer(ctx, r.server.ID)
}

// keeping shows that this server lives, and hands on what servers that are gone
// have left, until ctx ends.
func (r *Runner) keeping(ctx context.Context) {
	tick := time.NewTicker(r.config.keepPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !r.begun() {
			if err := r.begin(ctx, ctx); err != nil && ctx.Err() == nil {
				r.config.Log.DebugContext(ctx, "jobs wait for a database that takes writes", "error", err)
			}
			continue
		}
		if err := r.keep(ctx); err != nil {
			if ctx.Err() == nil {
				r.config.Log.WarnContext(ctx, "show that this server lives", "error", err)
			}
			r.lease.endWhenOlder(r.config.goneAfter - r.config.keepPeriod)
			continue
		}
		if err := r.rescue(ctx); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "look for jobs of servers that are gone", "error", err)
		}
	}
}

func (r *Runner) keep(ctx context.Context) error {
	begun := time.Now()
	bounded, cancel := context.WithTimeout(ctx, r.config.keepPeriod)
	defer cancel()
	if err := r.config.DB.KeepServer(bounded, r.server, begun); err != nil {
		return err
	}
	r.lease.renew(begun)
	return nil
}

func (r *Runner) rescue(ctx context.Context) error {
	rescued, err := r.config.DB.RescueJobs(ctx, r.config.goneAfter)
	if err != nil {
		return err
	}
	if rescued > 0 {
		r.config.Log.WarnContext(ctx, "jobs were taken over from a server that is gone", "jobs", rescued)
		r.metrics.rescued.Add(float64(rescued))
	}
	return r.config.DB.ForgetServers(ctx, forgetAfter)
}
