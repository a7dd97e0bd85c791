package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/riverqueue/river"
	"github.com/spf13/pflag"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/internal/jobs"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
)

// spaceSettings are the settings of garbage collection.
type spaceSettings struct {
	grace    time.Duration
	tagGrace time.Duration
	schedule string
}

// AddSpaceFlags adds the settings of a garbage collection.
func (c *Config) AddSpaceFlags(flags *pflag.FlagSet) {
	setting(flags.DurationVar, &c.space.grace, "gc-grace", space.DefaultGrace, "garbage collection leaves what nothing needs for this long after somebody last asked for it; longer than any push takes")
	setting(flags.DurationVar, &c.space.tagGrace, "gc-tag-grace", space.DefaultTagGrace, "garbage collection leaves what is under a tag that is no version, such as latest, for this long")
}

// Collection returns what the settings say of a garbage collection.
func (c *Config) Collection() space.CollectOptions {
	return space.CollectOptions{Grace: c.space.grace, TagGrace: c.space.tagGrace}
}

// scheduleOff is the schedule of no garbage collection.
const scheduleOff = "off"

// collects reports whether garbage is collected by the clock.
func (s *spaceSettings) collects() bool { return s.schedule != "" && s.schedule != scheduleOff }

func (c *Config) checkSpace() error {
	if c.space.grace < 0 || c.space.tagGrace < 0 {
		return command.UsageError{Err: errors.New("--gc-grace and --gc-tag-grace are not below 0")}
	}
	if !c.space.collects() {
		return nil
	}
	if _, err := cron.Parse(c.space.schedule, "UTC"); err != nil {
		return command.UsageError{Err: fmt.Errorf("--gc-schedule is off or a time as in a crontab: %w", err)}
	}
	return nil
}

// OpenStorage opens the registry's storage, for one short command.
func OpenStorage(ctx context.Context, c *Config, log *slog.Logger) (*registry.Storage, error) {
	if err := c.checkSpace(); err != nil {
		return nil, err
	}
	config, err := c.StorageConfig()
	if err != nil {
		return nil, err
	}
	if dir := config.Location.Dir(); dir != "" {
		if _, err := os.Stat(dir); err != nil {
			return nil, constellation.Wrap(err, constellation.KindNotFound, "there is no registry in %s: give the --data-dir or the --storage of the server", dir)
		}
	}
	return registry.OpenStorage(ctx, config, log)
}

// spaceQueue is the queue of jobs on the registry's storage, which may take long.
const spaceQueue = "space"

// collectTimeout is more than any garbage collection takes. One that is ended goes on
// with the next.
const collectTimeout = 6 * time.Hour

// collectDue removes from the registry what nothing needs, when the schedule says so.
type collectDue struct{}

// Kind is part of river.JobArgs.
func (collectDue) Kind() string { return "collect_due" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (collectDue) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: spaceQueue, MaxAttempts: 1}
}

// collectNow does so because somebody asked for it.
type collectNow struct {
	By string `json:"by"`
}

// Kind is part of river.JobArgs.
func (collectNow) Kind() string { return "collect_now" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (collectNow) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: spaceQueue, MaxAttempts: 3}
}

// removeUploads removes the uploads that nobody goes on with, where no garbage
// collection does.
type removeUploads struct{}

// Kind is part of river.JobArgs.
func (removeUploads) Kind() string { return "remove_uploads" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (removeUploads) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: spaceQueue, MaxAttempts: 1}
}

// findGarbage finds out what a garbage collection would free.
type findGarbage struct{}

// Kind is part of river.JobArgs.
func (findGarbage) Kind() string { return "find_garbage" }

// InsertOpts is part of river.JobArgsWithInsertOpts.
func (findGarbage) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 1} }

// findTimeout is more than finding that out takes.
const findTimeout = 10 * time.Minute

// addSpaceJobs adds what is done in the background with the registry's storage.
func addSpaceJobs(set *jobs.Set, c *Config, m *mothership) {
	jobs.Add(set, jobs.Kind[collectDue]{Every: 5 * time.Minute, Timeout: collectTimeout, Work: func(ctx context.Context, _ *river.Job[collectDue]) error {
		if err := m.control.CountStorageOnce(ctx); err != nil {
			return err
		}
		if !c.space.collects() {
			return nil
		}
		schedule, err := cron.Parse(c.space.schedule, "UTC")
		if err != nil {
			return jobs.Cancel(err)
		}
		due, err := m.control.CollectionDue(ctx, schedule)
		if err != nil || !due {
			return err
		}
		return collected(m.collect(ctx, constellation.ActorSystem))
	}})
	jobs.Add(set, jobs.Kind[collectNow]{Timeout: collectTimeout, Work: func(ctx context.Context, job *river.Job[collectNow]) error {
		return collected(m.collect(ctx, job.Args.By))
	}})
	jobs.Add(set, jobs.Kind[findGarbage]{Every: time.Minute, Timeout: findTimeout, Work: func(ctx context.Context, _ *river.Job[findGarbage]) error {
		return m.control.FindGarbage(ctx)
	}})
	jobs.Add(set, jobs.Kind[removeUploads]{Every: 24 * time.Hour, Timeout: collectTimeout, Work: func(ctx context.Context, _ *river.Job[removeUploads]) error {
		if c.space.collects() {
			return nil
		}
		_, err := m.control.RemoveLeftUploads(ctx)
		return err
	}})
}

// collected leaves it to a garbage collection that runs already.
func collected(err error) error {
	if constellation.KindOf(err) == constellation.KindConflict {
		return nil
	}
	return err
}

func (m *mothership) collect(ctx context.Context, by string) error {
	p := control.Shell()
	p.Username = by
	c, err := m.control.CollectAsSet(ctx, p)
	if err != nil {
		return err
	}
	m.log.Info("garbage collected", "by", by, "manifests", c.Manifests, "blobs", c.Blobs, "bytes", c.Bytes, "versions", c.Retired, "uploads", c.Uploads.Blobs)
	return nil
}

// keepSystem notes, while the server runs, that its system image is needed.
func (m *mothership) keepSystem(ctx context.Context) {
	tick := time.NewTicker(systemKept)
	defer tick.Stop()
	for {
		if err := m.system.Keep(ctx, m.control); err != nil && ctx.Err() == nil {
			m.log.Warn("note that the system image is in use", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// systemKept is how often a server says that its system image is needed.
const systemKept = 10 * time.Minute
