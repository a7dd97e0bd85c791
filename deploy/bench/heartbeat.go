package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/stack"
)

const (
	fleetInterval = 30 * time.Second
	fleetMeasured = 60 * time.Second
	fleetPatience = 5 * time.Minute
	fleetStale    = 110 * time.Second // after which a launch that nobody heard is stale
)

// fleetSize is how large a fleet is, and what its mothership may take.
type fleetSize struct {
	satellites, launches int
	late                 int // report for the first time while the mothership restarts
	percent              int // of two cores, with PostgreSQL
	megabytes            int // resident, without PostgreSQL
}

// sparedFiles are what the mothership has open beside connections of launches.
const sparedFiles = 3000

// fleet is launches that report, each on a connection of its own.
type fleet struct {
	fleetSize
	host     string
	lines    []line // one a launch, or fewer that launches share, as behind a proxy
	begun    time.Time
	measured atomic.Bool

	mu       sync.Mutex
	took     []time.Duration
	failures int
	first    map[*launch]time.Time // when its first heartbeat was acknowledged
}

// line is a connection that one launch at a time uses.
type line struct {
	mu   sync.Mutex
	conn *conn
}

// heartbeats measures ten thousand launches that report every 30 s to one
// mothership.
func heartbeats(ctx context.Context, binary string, out io.Writer) error {
	return fleetSize{satellites: 3500, launches: 10_000, late: 500, percent: 25, megabytes: 200}.measure(ctx, binary, out)
}

// manyHeartbeats measures a hundred thousand.
func manyHeartbeats(ctx context.Context, binary string, out io.Writer) error {
	size := fleetSize{satellites: 35_000, launches: 100_000, late: 5000, percent: 75, megabytes: 1000}
	return size.measure(ctx, binary, out)
}

// measure measures a fleet in its steady state, and what restarts of the mothership
// do to it: one on request, and one by kill -9.
func (size fleetSize) measure(ctx context.Context, binary string, out io.Writer) error {
	dir, remove, err := tempDir()
	if err != nil {
		return err
	}
	defer remove()
	m, launches, err := seeded(ctx, binary, dir, size.satellites, size.launches+2*size.late, 0)
	if err != nil {
		return err
	}
	defer func() { _ = m.Stop() }()
	key, err := viewer(ctx, m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := size.launches + 2*size.late
	f := &fleet{
		fleetSize: size, host: m.Host, lines: make([]line, min(all, mayOpen(all+sparedFiles)-sparedFiles)),
		begun: time.Now(), first: map[*launch]time.Time{},
	}
	var alive sync.WaitGroup
	defer f.hangUp()
	defer alive.Wait()
	defer cancel()
	begun := 0
	start := func(list []*launch, spread time.Duration) {
		for _, l := range list {
			through := &f.lines[begun%len(f.lines)]
			alive.Go(func() { f.beat(ctx, l, through, rand.N(spread)) }) //nolint:gosec // spreads load, guards nothing
			begun++
		}
	}
	start(launches[:size.launches], fleetInterval)
	if err := f.heard(ctx, out); err != nil {
		return err
	}
	if err := f.measure(ctx, m, out); err != nil {
		return err
	}
	stale := f.watchStale(ctx, key)
	for i, how := range []string{"on request", "after kill -9"} {
		start(launches[size.launches+i*size.late:size.launches+(i+1)*size.late], 10*time.Second)
		sleep(ctx, 3*time.Second)
		end := m.Stop
		if i == 1 {
			end = m.Kill
		}
		if err := end(); err != nil {
			return err
		}
		down := time.Now()
		if m, err = stack.StartMothership(ctx, binary, dir, m.Host); err != nil {
			return err
		}
		fmt.Fprintf(out, "heartbeats: mothership restarted (%s), away for %.1f s\n", how, time.Since(down).Seconds())
		sleep(ctx, 12*time.Second)
	}
	sleep(ctx, fleetStale+fleetInterval)
	most, polls := stale()
	lost, err := f.lost(ctx, launches, key)
	if err != nil {
		return err
	}
	f.mu.Lock()
	seen := len(f.first)
	f.mu.Unlock()
	fmt.Fprintf(out, "heartbeats: after both, in %d looks over %s: at most %d satellites with a stale launch (wanted: 0); of %d launches whose first heartbeat was acknowledged, %d are not first seen by then (wanted: 0)\n",
		polls, (fleetStale + fleetInterval).String(), most, seen, lost)
	if most > 0 || lost > 0 {
		return fmt.Errorf("a restart made launches stale or lost what was acknowledged")
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// heard waits until each launch was answered once, and half an interval more, for
// what that left to do: from then on the fleet is in its steady state.
func (f *fleet) heard(ctx context.Context, out io.Writer) error {
	for begun := time.Now(); ; sleep(ctx, time.Second) {
		f.mu.Lock()
		n := len(f.first)
		f.mu.Unlock()
		switch took := time.Since(begun); {
		case ctx.Err() != nil:
			return ctx.Err()
		case n == f.launches:
			fmt.Fprintf(out, "heartbeats: the first of each of %d launches, which came within %s, are stored after %.0f s\n", n, fleetInterval, took.Seconds())
			sleep(ctx, fleetInterval/2)
			return nil
		case took > fleetPatience:
			return fmt.Errorf("of %d launches %d were not answered within %s", f.launches, f.launches-n, fleetPatience)
		}
	}
}

// beat is one launch's life.
func (f *fleet) beat(ctx context.Context, l *launch, through *line, wait time.Duration) {
	for sequence := int64(1); ; sequence++ {
		sleep(ctx, wait)
		if ctx.Err() != nil {
			return
		}
		wait = fleetInterval*9/10 + rand.N(fleetInterval/5) //nolint:gosec // jitter
		took, err := through.report(f.host, l, heartbeat(sequence))
		if later, ok := errors.AsType[laterError](err); ok {
			wait = time.Duration(later) * 9 / 10
			wait += rand.N(wait / 5) //nolint:gosec // as an engine does
		} else if err != nil {
			wait = time.Second + rand.N(2*time.Second) //nolint:gosec // sooner than an engine does
		}
		f.note(l, took, err)
	}
}

// report sends a heartbeat once the line is free, and says how long it took then.
func (n *line) report(host string, l *launch, body []byte) (took time.Duration, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conn == nil {
		if n.conn, err = dial(host); err != nil {
			return 0, err
		}
	}
	begun := time.Now()
	if err = l.report(n.conn, body); err != nil && !errors.As(err, new(laterError)) {
		_ = n.conn.Close()
		n.conn = nil
	}
	return time.Since(begun), err
}

func (f *fleet) hangUp() {
	for i := range f.lines {
		if c := f.lines[i].conn; c != nil {
			_ = c.Close()
		}
	}
}

func (f *fleet) note(l *launch, took time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		if _, ok := f.first[l]; !ok {
			f.first[l] = time.Now()
		}
	}
	if !f.measured.Load() {
		return
	}
	if err != nil {
		f.failures++
		return
	}
	f.took = append(f.took, took)
}

// measure watches the fleet in its steady state.
func (f *fleet) measure(ctx context.Context, m *stack.Mothership, out io.Writer) error {
	total, database, err := cpuSeconds(m)
	if err != nil {
		return err
	}
	begun := time.Now()
	f.measured.Store(true)
	sleep(ctx, fleetMeasured)
	f.measured.Store(false)
	length := time.Since(begun).Seconds()
	totalAfter, databaseAfter, err := cpuSeconds(m)
	if err != nil {
		return err
	}
	memory, err := residentKB(m.PID())
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	const cores = 2
	fmt.Fprintf(out, "heartbeats: %d launches every %s on %d connections: %.0f a second, p50 %.1f ms, p99 %.1f ms (wanted: 50), %d failed; %.1f%% of two cores (wanted: %d), of it PostgreSQL %.1f%%; resident %d MB without PostgreSQL (wanted: %d)\n",
		f.launches, fleetInterval, min(f.launches, len(f.lines)), float64(len(f.took))/length, quantile(f.took, .5), quantile(f.took, .99), f.failures,
		100*(totalAfter-total)/length/cores, f.percent, 100*(databaseAfter-database)/length/cores, memory/1024, f.megabytes)
	return nil
}

// watchStale looks for stale launches every two seconds, until the function is
// called: it gives the most satellites that had one, and how often it looked.
func (f *fleet) watchStale(ctx context.Context, key string) func() (most, looks int) {
	ctx, cancel := context.WithCancel(ctx)
	var most, looks int
	var watching sync.WaitGroup
	watching.Go(func() {
		for ; ctx.Err() == nil; sleep(ctx, 2*time.Second) {
			var page apiv1.List[apiv1.Satellite]
			if f.get("/v1/satellites?sort=-stale&limit=500", key, &page) != nil {
				continue // it restarts
			}
			looks++
			n := 0
			for _, s := range page.Results {
				if s.Launches.Stale > 0 {
					n++
				}
			}
			most = max(most, n)
		}
	})
	return func() (int, int) {
		cancel()
		watching.Wait()
		return most, looks
	}
}

func (f *fleet) get(path, key string, into any) error {
	c, err := dial(f.host)
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost
	status, answer, err := c.send(http.MethodGet, path, key, nil)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("GET %s answered %d: %s", path, status, answer)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(answer, into)
}

// lost counts the launches whose first heartbeat was acknowledged and that
// were not first seen by then, or show as stale.
func (f *fleet) lost(ctx context.Context, launches []*launch, key string) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	byID := make(map[string]*launch, len(launches))
	satellites := map[string]bool{}
	for _, l := range launches {
		byID[l.id], satellites[l.satellite] = l, true
	}
	lost := len(f.first)
	for id := range satellites {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		var page apiv1.List[apiv1.Launch]
		if err := f.get("/v1/satellites/"+id+"/launches?limit=500", key, &page); err != nil {
			return 0, err
		}
		for _, shown := range page.Results {
			acknowledged, ok := f.first[byID[shown.ID]]
			if ok && shown.FirstSeenAt != nil && shown.FirstSeenAt.Before(acknowledged) && shown.Status != "stale" {
				lost--
			}
		}
	}
	return lost, nil
}
