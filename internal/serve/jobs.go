package serve

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/jobs"
)

// jobsEnd is how long jobs get to end once their contexts have.
const jobsEnd = 10 * time.Second

// purge removes what has expired.
type purge struct{}

// Kind is part of river.JobArgs.
func (purge) Kind() string { return control.PurgeJob }

// jobSet is what is done in the background, once over all servers.
func jobSet(c *Config, m *mothership) *jobs.Set {
	set := &jobs.Set{}
	jobs.Add(set, jobs.Kind[purge]{Every: time.Hour, Work: func(ctx context.Context, _ *river.Job[purge]) error {
		return m.control.Purge(ctx)
	}})
	addSpaceJobs(set, c, m)
	addBackupJobs(set, c, m)
	addImportJobs(set, c, m)
	addNotifyJobs(set, m)
	addCertificateJob(set, m)
	return set
}

// startJobs begins to do jobs on this server.
func startJobs(ctx context.Context, c *Config, m *mothership) (*jobs.Runner, error) {
	return jobs.Start(ctx, jobs.Config{DB: m.db, Set: jobSet(c, m), PollOnly: m.db.Pooled(), Version: m.build.Version, Grace: c.stopTimeout, Log: m.log, Tracer: m.tracer})
}

// endJobs stops jobs when ctx ends, beside the requests under way.
func (m *mothership) endJobs(ctx context.Context) {
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.jobs.Grace()+jobsEnd)
	defer cancel()
	if err := m.jobs.Stop(ctx); err != nil {
		m.log.Error("stop jobs; another server does what is left", "error", err)
	}
}
