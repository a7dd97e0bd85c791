package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const secret = "0123456789abcdef0123456789abcdef"

// world is a queue with what schedules ask of an engine, and a clock.
type world struct {
	t     *testing.T
	queue *queue.Queue
	log   waittest.Buffer

	mu        sync.Mutex
	now       time.Time
	schedules []constellation.Schedule
	calls     map[string]time.Time // by key
	waits     bool                 // calls do not begin
	refuses   bool
}

func newWorld(t *testing.T, at string, schedules ...constellation.Schedule) *world {
	t.Helper()
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = n.Close(ctx)
	})
	q, err := queue.Connect(t.Context(), queue.Options{Node: n, Secret: []byte(secret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	for deadline := time.Now().Add(time.Minute); q.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for the queue: %v", q.Ready())
		}
	}
	for i := range schedules {
		schedules[i].VanityURL = "foo/bar"
		schedules[i] = schedules[i].WithDefaults()
	}
	return &world{t: t, queue: q, now: instant(t, at), schedules: schedules, calls: map[string]time.Time{}}
}

func instant(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// engine returns another engine's service.
func (w *world) engine() *Service {
	return New(Options{
		Queue:     w.queue,
		Schedules: func() []constellation.Schedule { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.schedules) },
		IsLeader:  func() bool { return true },
		Submit: func(_ context.Context, c Call) (string, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.refuses {
				return "", errors.New("the queue is full")
			}
			w.calls[c.Key] = c.Due
			return "req-" + c.Key, nil
		},
		StateOf: func(context.Context, string, string) (string, bool) {
			if w.waits {
				return "queued", true
			}
			return "succeeded", false
		},
		Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
	})
}

// pass lets the clock run until a time, looking every step.
func (w *world) pass(s *Service, until string, step time.Duration) {
	w.t.Helper()
	for end := instant(w.t, until); w.now.Before(end); {
		w.now = w.now.Add(step)
		s.Tick(w.t.Context())
	}
}

// away lets the clock jump: no engine was there.
func (w *world) away(until string) { w.now = instant(w.t, until) }

// made returns when the calls that were made were due, in UTC.
func (w *world) made() []string {
	var made []string
	for _, due := range w.calls {
		made = append(made, due.UTC().Format("01-02 15:04"))
	}
	slices.Sort(made)
	return made
}

func (w *world) want(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.made()); diff != "" {
		w.t.Errorf("calls made (-want +got):\n%s%s", diff, w.log.String())
	}
}

func TestCallsWhenTheyAreDue(t *testing.T) {
	w := newWorld(t, "2026-11-29T01:00:30Z", constellation.Schedule{Name: "often", Cron: "*/20 * * * *"}, constellation.Schedule{Name: "a..b", Cron: "30 2 * * *"})
	s := w.engine()
	s.Tick(t.Context())
	w.want()
	w.pass(s, "2026-11-29T03:00:30Z", time.Second*30)
	w.want("11-29 01:20", "11-29 01:40", "11-29 02:00", "11-29 02:20", "11-29 02:30", "11-29 02:40", "11-29 03:00")
	state := s.State(t.Context())
	if got := state[0]; got.LastState != "succeeded" || got.Missed != 0 || !got.NextAt.Equal(instant(t, "2026-11-29T03:20:00Z")) || !got.LastAt.Equal(instant(t, "2026-11-29T03:00:00Z")) || got.LastRequestID == "" {
		t.Errorf("the state is %+v", got)
	}
	var runs []string // the five latest
	for _, r := range state[0].Runs {
		runs = append(runs, r.At.Format("15:04")+" "+r.State)
		if r.RequestID == "" || r.RequestID == state[1].LastRequestID {
			t.Errorf("the run %+v has not its own request id", r)
		}
	}
	if diff := cmp.Diff([]string{"03:00 succeeded", "02:40 succeeded", "02:20 succeeded", "02:00 succeeded", "01:40 succeeded"}, runs); diff != "" {
		t.Errorf("the latest runs (-want +got):\n%s", diff)
	}
}

// TestTwoEnginesMakeACallOnce has two engines that both believe that they decide.
func TestTwoEnginesMakeACallOnce(t *testing.T) {
	w := newWorld(t, "2026-11-29T01:00:30Z", constellation.Schedule{Name: "a", Cron: "* * * * *"})
	engines := []*Service{w.engine(), w.engine()}
	for range 10 {
		var both sync.WaitGroup
		for _, s := range engines {
			both.Go(func() { s.Tick(t.Context()) })
		}
		both.Wait()
		w.now = w.now.Add(time.Minute)
	}
	if n := len(w.calls); n != 9 {
		t.Errorf("%d calls were made in nine minutes: %v", n, w.made())
	}
	if got := w.engine().State(t.Context())[0]; got.Missed != 0 {
		t.Errorf("%d were missed", got.Missed)
	}
}

func TestMissedWhileAway(t *testing.T) {
	for _, c := range []struct {
		missed, cron, back string
		n                  int64
		want               []string
	}{
		{"skip", "0 * * * *", "2026-11-29T04:30:00Z", 3, nil},
		{"once", "0 * * * *", "2026-11-29T04:30:00Z", 3, []string{"11-29 04:00"}},
		{"skip", "0 * * * *", "2026-11-29T04:00:40Z", 2, []string{"11-29 04:00"}}, // that one is not late yet
		{"once", "0 * * * *", "2026-11-29T04:00:40Z", 2, []string{"11-29 04:00"}},
		{"skip", "* * * * *", "2026-11-29T04:30:30Z", 179, []string{"11-29 04:30"}},
		{"once", "* * * * *", "2026-11-29T04:30:30Z", 179, []string{"11-29 04:30"}},
		{"skip", "30 2 * * *", "2027-11-29T12:00:00Z", 366, nil},
		{"once", "30 2 * * *", "2027-11-29T12:00:00Z", 366, []string{"11-29 02:30"}},
	} {
		t.Run(c.missed+" "+c.cron+" "+c.back, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "2026-11-29T01:30:30Z", constellation.Schedule{Name: "a", Cron: c.cron, Missed: c.missed})
			w.engine().Tick(t.Context())
			w.away(c.back)
			s := w.engine()
			for range 3 {
				s.Tick(t.Context())
			}
			w.want(c.want...)
			if got := s.State(t.Context())[0]; got.Missed != c.n {
				t.Errorf("%d missed, want %d", got.Missed, c.n)
			}
			if told := strings.Count(w.log.String(), "calls of a schedule were missed"); told != 1 {
				t.Errorf("it was told %d times, want once:\n%s", told, w.log.String())
			}
		})
	}
}

// TestTheNightsWhenClocksChange runs a schedule minute by minute through both.
func TestTheNightsWhenClocksChange(t *testing.T) {
	for _, c := range []struct {
		name, from, until string
		want              []string // in UTC
	}{
		{"spring", "2026-03-28T12:00:00+01:00", "2026-03-30T12:00:00+02:00", []string{"03-29 01:00", "03-30 00:30"}},
		{"autumn", "2026-10-24T12:00:00+02:00", "2026-10-26T12:00:00+01:00", []string{"10-25 00:30", "10-26 01:30"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.from, constellation.Schedule{Name: "night", Cron: "30 2 * * *", TimeZone: "Europe/Berlin"})
			s := w.engine()
			s.Tick(t.Context())
			w.pass(s, c.until, time.Minute)
			w.want(c.want...)
		})
	}
}

// TestNothingPilesUp has calls that do not begin, and a queue that refuses.
func TestNothingPilesUp(t *testing.T) {
	w := newWorld(t, "2026-11-29T01:00:30Z", constellation.Schedule{Name: "a", Cron: "* * * * *"})
	s := w.engine()
	s.Tick(t.Context())
	w.waits = true
	w.pass(s, "2026-11-29T01:30:30Z", 30*time.Second)
	w.want("11-29 01:01")
	if got := s.State(t.Context())[0]; got.Missed != 29 {
		t.Errorf("%d missed while the first one waited, want 29", got.Missed)
	}
	w.waits, w.refuses = false, true
	w.pass(s, "2026-11-29T01:31:10Z", 10*time.Second)
	w.refuses = false
	w.pass(s, "2026-11-29T01:31:20Z", 10*time.Second)
	w.want("11-29 01:01", "11-29 01:31")
}

func TestAClockThatIsOff(t *testing.T) {
	w := newWorld(t, "2026-11-29T01:00:30Z", constellation.Schedule{Name: "a", Cron: "*/10 * * * *"})
	s := w.engine()
	s.Tick(t.Context())
	w.pass(s, "2026-11-29T01:20:30Z", time.Minute)
	w.away("2026-11-29T00:20:30Z") // an hour back: nothing is made twice
	w.pass(s, "2026-11-29T01:20:30Z", time.Minute)
	w.want("11-29 01:10", "11-29 01:20")
	if told := strings.Count(w.log.String(), "the clock is behind"); told != 1 {
		t.Errorf("of the clock it is told %d times, want once:\n%s", told, w.log.String())
	}
	w.pass(s, "2026-11-29T01:30:30Z", time.Minute)
	w.want("11-29 01:10", "11-29 01:20", "11-29 01:30")
	w.away("2026-11-25T01:00:00Z") // days back: it was set far ahead before
	w.pass(s, "2026-11-25T01:10:30Z", time.Minute)
	w.want("11-25 01:10", "11-29 01:10", "11-29 01:20", "11-29 01:30")
}

func TestASchedulesTimesAreChanged(t *testing.T) {
	w := newWorld(t, "2026-11-29T01:00:30Z", constellation.Schedule{Name: "a", Cron: "0 3 * * *", Missed: "once"}, constellation.Schedule{Name: "bad", Cron: "0 0 30 2 *"})
	s := w.engine()
	s.Tick(t.Context())
	w.away("2026-11-29T12:00:00Z")
	w.schedules[0].Cron = "0 13 * * *"
	s.Tick(t.Context())
	w.want()
	w.pass(s, "2026-11-29T13:00:30Z", time.Minute)
	w.want("11-29 13:00")
	if got := s.State(t.Context()); len(got) != 2 || got[1].Problem == "" || got[0].Missed != 0 {
		t.Errorf("the state is %+v", got)
	}
	if told := strings.Count(w.log.String(), "cannot be read"); told != 1 {
		t.Errorf("the bad schedule was told %d times", told)
	}
	w.schedules = nil
	s.Tick(t.Context())
	if got := fmt.Sprint(s.State(t.Context())); got != "[]" {
		t.Errorf("without schedules the state is %s", got)
	}
}
