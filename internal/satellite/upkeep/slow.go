package upkeep

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/schedule"
)

// slowLook is what was seen of schedules and batches.
type slowLook struct {
	of        *durable.Session
	at        time.Time
	schedules []schedule.State
	parts     map[string]queue.Pending // of batches, by algorithm
}

// lookSlowly looks at schedules and batches, unless that was done just now.
func (s *Service) lookSlowly(ctx context.Context, d *durable.Session) {
	if last := s.slow.Load(); last != nil && last.of == d && time.Since(last.at) < slowEvery || d.Queue.Ready() != nil {
		return
	}
	next := &slowLook{of: d, at: time.Now(), schedules: d.Times.State(ctx), parts: map[string]queue.Pending{}}
	for _, a := range s.Durable.Served() {
		if p, err := d.Queue.Pending(ctx, queue.KindBatch, a.VanityURL); err == nil {
			next.parts[a.VanityURL] = p
		}
	}
	s.slow.Store(next)
}

var (
	scheduleLabels = []string{"schedule", "algorithm"}

	scheduleMissed = prometheus.NewDesc("constellation_schedule_missed_total", "Runs of a schedule that were due and not made: the satellite was away, or the last run still waited.", scheduleLabels, nil)
	scheduleLast   = prometheus.NewDesc("constellation_schedule_last_run_timestamp_seconds", "When a schedule's last run was due; 0 before the first.", scheduleLabels, nil)
	scheduleNext   = prometheus.NewDesc("constellation_schedule_next_run_timestamp_seconds", "When a schedule is due next; 0 is never again.", scheduleLabels, nil)
	scheduleFailed = prometheus.NewDesc("constellation_schedule_last_run_failed", "1 when a schedule's last run has failed or was given up.", scheduleLabels, nil)
	batchParts     = prometheus.NewDesc("constellation_batch_parts", "Parts of batches, of up to 64 lines each, that are in the queue, by algorithm and state: waiting, running.", []string{"algorithm", "state"}, nil)
)

// slowDescs are those of what collect sends.
var slowDescs = []*prometheus.Desc{scheduleMissed, scheduleLast, scheduleNext, scheduleFailed, batchParts}

// collect sends what was seen.
func (l *slowLook) collect(ch chan<- prometheus.Metric) {
	if l == nil {
		return
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range l.schedules {
		failed := 0.0
		if s.LastState == "failed" || s.LastState == "dead" {
			failed = 1
		}
		ch <- prometheus.MustNewConstMetric(scheduleMissed, prometheus.CounterValue, float64(s.Missed), s.Name, s.VanityURL)
		gauge(scheduleLast, seconds(s.LastAt), s.Name, s.VanityURL)
		gauge(scheduleNext, seconds(s.NextAt), s.Name, s.VanityURL)
		gauge(scheduleFailed, failed, s.Name, s.VanityURL)
	}
	for vanityURL, p := range l.parts {
		gauge(batchParts, float64(p.Waiting), vanityURL, "waiting")
		gauge(batchParts, float64(p.Running), vanityURL, "running")
	}
}

// seconds returns a time as metrics have it, 0 when there is none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
