package schedule

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/cron"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

const (
	// Grace is how late a call may be made without counting as missed: as long as
	// another engine takes to become the leader.
	Grace = time.Minute
	// maxMissed bounds how many missed calls are counted at once.
	maxMissed = 100_000
	lookEvery = time.Second
	// maxBehind is how far the clock may be behind the last call before that is logged.
	maxBehind = 5 * time.Minute
	horizon   = 25 * time.Hour
)

// Call is a call that is due.
type Call struct {
	Schedule constellation.Schedule
	Due      time.Time
	// Key names the call: the same schedule and time have the same one.
	Key string
}

// Options configures a Service. All fields but Log and Now are required.
type Options struct {
	Queue *queue.Queue
	// Schedules returns the satellite's current schedules.
	Schedules func() []constellation.Schedule
	// IsLeader reports whether this engine makes the calls now.
	IsLeader func() bool
	// Submit stores a call and returns its request id. Another call with the same
	// key is the same call.
	Submit func(context.Context, Call) (requestID string, err error)
	// StateOf returns the state of a submitted call, "" when it is not known any
	// more, and reports whether it still waits for a replica.
	StateOf func(ctx context.Context, requestID, vanityURL string) (state string, waits bool)

	Log *slog.Logger
	Now func() time.Time
}

// Service makes the calls of schedules.
type Service struct {
	opts Options
	log  *slog.Logger

	mu    sync.Mutex
	known map[string]*scheduleState // by name

	statesMu sync.Mutex
	states   map[string]string // of calls that have ended, by request id
}

// scheduleState is what this engine knows of a schedule.
type scheduleState struct {
	times    *cron.Schedule // nil when it cannot be read
	of       constellation.Schedule
	record   record
	revision uint64
	read     bool   // record is what is stored, as far as this engine knows
	said     string // the last trouble that was logged
}

// record is what is remembered of a schedule.
type record struct {
	Cron     string    `json:"cron"`
	TimeZone string    `json:"time_zone"`
	Since    time.Time `json:"since"` // from when on it counts
	// Due is the time up to which all that was due is settled: made, or missed.
	Due           time.Time `json:"due"`
	LastAt        time.Time `json:"last_at,omitzero"` // when the last call was due
	LastRequestID string    `json:"last_request_id,omitempty"`
	Missed        int64     `json:"missed,omitempty"`
	MissedUntil   time.Time `json:"missed_until,omitzero"` // the latest that was missed
	Runs          []run     `json:"runs,omitempty"`        // the latest calls, the newest first
}

// run is a call that a schedule made.
type run struct {
	At        time.Time `json:"at"` // when it was due
	RequestID string    `json:"request_id"`
}

// maxRuns is how many calls are remembered.
const maxRuns = 5

// New returns a service that makes no calls until Run.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{opts: o, log: o.Log, known: map[string]*scheduleState{}, states: map[string]string{}}
}

// Run makes calls as they fall due, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if s.opts.IsLeader() {
			s.Tick(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Tick makes the calls that are due now.
func (s *Service) Tick(ctx context.Context) {
	if s.opts.Queue.Ready() != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	there := map[string]bool{}
	for _, schedule := range s.opts.Schedules() {
		there[schedule.Name] = true
		k := s.load(schedule)
		if k.times == nil {
			continue
		}
		if err := s.look(ctx, k); err != nil && ctx.Err() == nil && err.Error() != k.said {
			k.said = err.Error()
			s.log.Warn("a schedule could not be looked after; it is tried again", "schedule", schedule.Name, "error", err)
		} else if err == nil {
			k.said = ""
		}
	}
	for name := range s.known {
		if !there[name] {
			delete(s.known, name)
		}
	}
}

// load returns what is known of a schedule.
func (s *Service) load(schedule constellation.Schedule) *scheduleState {
	k := s.known[schedule.Name]
	if k == nil {
		k = &scheduleState{}
		s.known[schedule.Name] = k
	}
	if k.times == nil && k.of == schedule {
		return k // it cannot be read, as was told
	}
	if k.of.Cron != schedule.Cron || k.of.TimeZone != schedule.TimeZone {
		times, err := cron.Parse(schedule.Cron, schedule.TimeZone)
		if err != nil {
			s.log.Error("a schedule cannot be read; it makes no calls", "schedule", schedule.Name, "error", err)
		}
		k.times, k.read = times, false
	}
	k.of = schedule
	return k
}

// keyOf returns under which key a schedule is remembered.
func keyOf(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(name)) }

// look settles what of one schedule is due.
func (s *Service) look(ctx context.Context, k *scheduleState) error {
	now := s.opts.Now()
	if !k.read {
		if err := s.read(ctx, k, now); err != nil {
			return err
		}
	}
	switch ahead := k.record.Due.Sub(now); {
	case ahead > horizon:
		k.record.Due = now // it was set far ahead once: nobody waits for that
	case ahead > maxBehind:
		return fmt.Errorf("the clock is behind the schedule's last call, of %s: it waits until the clock is there again", k.record.Due.UTC().Format(time.RFC3339))
	}
	if next := k.times.Next(k.record.Due); next.IsZero() || next.After(now) {
		return nil
	}
	settled, err := s.settle(ctx, k, now)
	if err != nil {
		return err
	}
	revision, err := s.write(ctx, k.of.Name, settled, k.revision)
	if err != nil {
		k.read = false
		if errors.Is(err, queue.ErrConflict) {
			return nil // another engine was faster
		}
		return err
	}
	if n := settled.Missed - k.record.Missed; n > 0 {
		s.report(k, n, settled)
	}
	k.record, k.revision = settled, revision
	return nil
}

// settle makes the call that stands for what is due, if one does, and returns
// what is remembered then.
func (s *Service) settle(ctx context.Context, k *scheduleState, now time.Time) (record, error) {
	r := k.record
	latest := k.times.Last(r.Due, now)
	n, _ := k.times.Count(r.Due, now, maxMissed)
	r.Due = latest
	late := now.Sub(latest) > Grace
	missed := n - 1
	if late {
		missed = n
	}
	makes := !late || k.of.Missed == constellation.MissedOnce
	if makes && r.LastRequestID != "" {
		if _, waits := s.opts.StateOf(ctx, r.LastRequestID, k.of.VanityURL); waits {
			makes, missed = false, n
		}
	}
	if missed > 0 {
		r.Missed, r.MissedUntil = r.Missed+int64(missed), latest
	}
	if !makes {
		return r, nil
	}
	id, err := s.opts.Submit(ctx, Call{Schedule: k.of, Due: latest, Key: "schedule/" + keyOf(k.of.Name) + "/" + strconv.FormatInt(latest.Unix(), 10)})
	if err != nil {
		return r, fmt.Errorf("make the call that was due at %s: %w", latest.Format(time.RFC3339), err)
	}
	s.log.Info("a schedule made its call", "schedule", k.of.Name, "algorithm", k.of.VanityURL, "due", latest, "request_id", id)
	r.LastAt, r.LastRequestID = latest, id
	r.Runs = append([]run{{latest.UTC(), id}}, r.Runs[:min(len(r.Runs), maxRuns-1)]...)
	return r, nil
}

// report logs what was missed, once, on the engine that recorded it.
func (s *Service) report(k *scheduleState, n int64, r record) {
	made := "no call was made for them"
	if r.LastAt.Equal(r.Due) {
		made = "the call that was made stands for them"
	}
	s.log.Warn("calls of a schedule were missed: the satellite was away, or the last one still waits; "+made,
		"schedule", k.of.Name, "algorithm", k.of.VanityURL, "missed", n, "after", k.record.Due, "until", r.MissedUntil)
}

// read reads what is remembered of a schedule. One that is new, or has other
// times now, begins.
func (s *Service) read(ctx context.Context, k *scheduleState, now time.Time) error {
	value, revision, err := s.opts.Queue.Record(ctx, queue.BucketSchedule, keyOf(k.of.Name))
	var r record
	switch {
	case errors.Is(err, queue.ErrNotFound):
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(value, &r); err != nil {
			s.log.Error("what is remembered of a schedule cannot be read; it begins anew", "schedule", k.of.Name, "error", err)
			r = record{}
		}
	}
	if r.Cron != k.of.Cron || r.TimeZone != k.of.TimeZone {
		r.Cron, r.TimeZone, r.Since, r.Due = k.of.Cron, k.of.TimeZone, now, now
		if revision, err = s.write(ctx, k.of.Name, r, revision); err != nil {
			return err
		}
	}
	k.record, k.revision, k.read = r, revision, true
	return nil
}

func (s *Service) write(ctx context.Context, name string, r record, revision uint64) (uint64, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	return s.opts.Queue.Put(ctx, queue.BucketSchedule, keyOf(name), value, revision)
}
