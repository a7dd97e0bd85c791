package loadtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	rest "github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// Load is what callers of servers do, and what was acknowledged.
type Load struct {
	*Written
	Launches []Launch
	Interval time.Duration // between two reports of a launch
	Password string        // of the account, for whom pages are open
	// Stale returns the names of those of the launches that are taken for silent.
	Stale func(ctx context.Context) ([]string, error)

	t       testing.TB
	stop    context.CancelFunc
	callers sync.WaitGroup

	heartbeats, reads, second, changes atomic.Int64
}

// Launch is one that reports.
type Launch struct{ SatelliteID, ID, Token string }

// secondTry is how long a satellite, or somebody who reads, waits before trying again.
const secondTry = time.Second

// Begin begins all of it, until Verify or the end of the test.
func (l *Load) Begin(t testing.TB) {
	ctx, stop := context.WithCancel(t.Context())
	l.t, l.stop = t, stop
	t.Cleanup(func() { stop(); l.callers.Wait() })
	for range 2 {
		l.callers.Go(func() { l.repeat(ctx, l.WriteSatellite) })
	}
	l.callers.Go(func() { l.repeat(ctx, l.PushImage) })
	l.callers.Go(func() { l.read(ctx) })
	l.callers.Go(func() { l.watch(ctx) })
	l.callers.Go(func() { l.openPage(ctx) })
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(transport.CloseIdleConnections)
	reporters := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	for i := range l.Launches {
		l.callers.Go(func() { l.report(ctx, reporters, l.Launches[i]) })
	}
}

// Work lets callers work for a while, and wants that they were answered.
func (l *Load) Work(t testing.TB, d time.Duration) {
	t.Helper()
	before := l.reads.Load()
	idle(t.Context(), d) // the load's own time, not a wait
	waittest.Until(t, "reads go on", func() bool { return l.reads.Load() > before })
}

// repeat writes again and again; what was not acknowledged may be there or not.
func (l *Load) repeat(ctx context.Context, write func(context.Context) error) {
	for ctx.Err() == nil {
		_ = write(ctx)
		idle(ctx, 50*time.Millisecond)
	}
}

func idle(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// read reads what was acknowledged.
func (l *Load) read(ctx context.Context) {
	for ctx.Err() == nil {
		l.Mu.Lock()
		id, label := "", ""
		for id, label = range l.Satellites {
			break
		}
		l.Mu.Unlock()
		if id != "" {
			l.twice(ctx, "the satellite "+label, func() error {
				var got struct{ Name string }
				_, err := l.Call(ctx, "GET", "/v1/satellites/"+id, "", &got)
				if err == nil && got.Name != label {
					err = fmt.Errorf("its name is %q", got.Name)
				}
				return err
			})
		}
		idle(ctx, 20*time.Millisecond)
	}
}

// twice reads, and once more after a second.
func (l *Load) twice(ctx context.Context, what string, read func() error) {
	err := read()
	if err != nil {
		idle(ctx, secondTry)
		l.second.Add(1)
		first := err
		if err = read(); err != nil {
			err = errors.Join(first, err)
		}
	}
	if err != nil && ctx.Err() == nil {
		l.t.Errorf("%s cannot be read, again after a second: %v", what, err)
	}
	l.reads.Add(1)
}

// watch looks for launches that are taken for silent, though they report.
func (l *Load) watch(ctx context.Context) {
	for ctx.Err() == nil {
		l.twice(ctx, "the launches", func() error {
			stale, err := l.Stale(ctx)
			if len(stale) > 0 {
				l.t.Errorf("%d launches report and are stale: %s", len(stale), strings.Join(stale[:min(len(stale), 5)], ", "))
			}
			return err
		})
		idle(ctx, 500*time.Millisecond)
	}
}

// openPage follows changes, and connects again as a browser does.
func (l *Load) openPage(ctx context.Context) {
	jar, _ := cookiejar.New(nil) // has no error
	browser := &http.Client{Jar: jar}
	for ctx.Err() == nil {
		response, err := browser.PostForm(l.URL+"/login", url.Values{"username": {l.username()}, "password": {l.Password}})
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				break
			}
		}
		idle(ctx, secondTry)
	}
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, "GET", l.URL+"/live", nil)
		if err != nil {
			return
		}
		response, err := browser.Do(request)
		if err == nil {
			buffer := make([]byte, 4096)
			for n := 0; err == nil; n, err = response.Body.Read(buffer) {
				if n > 20 {
					l.changes.Add(1)
				}
			}
			_ = response.Body.Close()
		}
		idle(ctx, secondTry)
	}
}

// report reports as an engine does, and again soon when that fails.
func (l *Load) report(ctx context.Context, by *http.Client, launch Launch) {
	reporter := rest.New(l.URL, launch.Token, by)
	beat := apiv1.Heartbeat{
		Engine: "engine/" + launch.ID, SatelliteVersion: 1, SystemVersion: "v1",
		Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 1, Ready: 1}}, Engines: []apiv1.HeartbeatEngine{},
	}
	idle(ctx, rand.N(l.Interval)) //nolint:gosec // spreads them
	for ctx.Err() == nil {
		beat.Sequence++
		if _, err := reporter.Heartbeat(ctx, launch.SatelliteID, launch.ID, &beat); err != nil {
			idle(ctx, secondTry+rand.N(secondTry)) //nolint:gosec // spreads them
			continue
		}
		l.heartbeats.Add(1)
		idle(ctx, l.Interval*9/10+rand.N(l.Interval/5)) //nolint:gosec // spreads them
	}
}

// End ends the load.
func (l *Load) End() {
	l.stop()
	l.callers.Wait()
}

// Verify looks, after End, for everything that was acknowledged, and says what it was.
func (l *Load) Verify(t testing.TB) string {
	t.Helper()
	l.Check(t, 0, 0)
	if len(l.Satellites) == 0 || len(l.Images) < 2 || l.heartbeats.Load() == 0 || l.changes.Load() == 0 {
		t.Error("nothing was written, reported or seen between the kills, so nothing was tested")
	}
	return fmt.Sprintf("acknowledged: %d satellites, %d images, %d heartbeats of %d launches; %d reads, of which %d worked at the second try; %d changes on an open page",
		len(l.Satellites), len(l.Images), l.heartbeats.Load(), len(l.Launches), l.reads.Load(), l.second.Load(), l.changes.Load())
}

// Reads reads a path as often as readers at once can for a while, and returns how
// often a second.
func (c Client) Reads(ctx context.Context, path string, readers int, d time.Duration) float64 {
	ctx, end := context.WithTimeout(ctx, d)
	defer end()
	var reads atomic.Int64
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			for ctx.Err() == nil {
				var got struct{ Name string }
				if _, err := c.Call(ctx, "GET", path, "", &got); err == nil {
					reads.Add(1)
				}
			}
		})
	}
	group.Wait()
	return float64(reads.Load()) / d.Seconds()
}
