package jobs

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// metrics counts what this server ran, and asks the database what waits.
type metrics struct {
	river.MiddlewareDefaults
	db      *postgres.DB
	runs    *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	rescued prometheus.Counter
}

func newMetrics(db *postgres.DB) *metrics {
	return &metrics{
		db: db,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "constellation_job_runs_total",
			Help: "Attempts at jobs on this server, by kind and how they ended: done, failed, cancelled or again."}, []string{"kind", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "constellation_job_seconds",
			Help: "How long attempts at jobs took on this server.", Buckets: []float64{.01, .1, 1, 10, 60, 600}}, []string{"kind"}),
		rescued: prometheus.NewCounter(prometheus.CounterOpts{Name: "constellation_jobs_rescued_total",
			Help: "Jobs that this server took over from servers that were gone."}),
	}
}

// Collectors are the metrics of jobs.
func (r *Runner) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.metrics.runs, r.metrics.seconds, r.metrics.rescued, jobTotals{r.metrics.db}}
}

// Work is part of rivertype.WorkerMiddleware.
func (m *metrics) Work(ctx context.Context, job *rivertype.JobRow, do func(context.Context) error) error {
	begun := time.Now()
	err := do(ctx)
	m.seconds.WithLabelValues(job.Kind).Observe(time.Since(begun).Seconds())
	m.runs.WithLabelValues(job.Kind, outcome(err)).Inc()
	return err
}

func outcome(err error) string {
	var cancelled *rivertype.JobCancelError
	var snoozed *rivertype.JobSnoozeError
	switch {
	case err == nil:
		return "done"
	case errors.As(err, &cancelled):
		return "cancelled"
	case errors.As(err, &snoozed):
		return "again"
	}
	return "failed"
}

// jobTotals collects how many jobs there are, over all servers; without a database
// it has nothing to say.
type jobTotals struct{ db *postgres.DB }

var jobsDesc = prometheus.NewDesc("constellation_jobs", "Jobs of all servers that wait, run or were given up, by kind and state.", []string{"kind", "state"}, nil)

// Describe is part of prometheus.Collector.
func (jobTotals) Describe(ch chan<- *prometheus.Desc) { ch <- jobsDesc }

// Collect is part of prometheus.Collector, whose calls have no context.
func (t jobTotals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := t.db.JobCounts(ctx)
	if err != nil {
		return
	}
	for _, c := range counts {
		ch <- prometheus.MustNewConstMetric(jobsDesc, prometheus.GaugeValue, float64(c.Jobs), c.Kind, c.State)
	}
}

// quiet is log without what River tells of its ordinary doings.
func quiet(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(warnings{log.Handler()})
}

// warnings hands on what is a warning or worse.
type warnings struct{ slog.Handler }

// Enabled is part of slog.Handler.
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// WithAttrs is part of slog.Handler.
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup is part of slog.Handler.
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
