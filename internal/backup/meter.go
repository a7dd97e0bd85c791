package backup

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Progress is how far something is.
type Progress struct {
	Doing         string // "copying images"
	Done, Total   int64  // bytes
	Files, OfThem int64
	Since         time.Time // when this was begun
}

// stalled is how long no byte may move.
const stalled = 5 * time.Minute

// meter counts what moves, and ends what has not moved for long.
type meter struct {
	mu    sync.Mutex
	p     Progress
	moved time.Time
	now   func() time.Time
}

func newMeter() *meter { return &meter{now: time.Now, moved: time.Now()} }

// begin begins with something else.
func (m *meter) begin(doing string, total, files int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.moved = m.now()
	m.p = Progress{Doing: doing, Total: total, OfThem: files, Since: m.moved}
}

func (m *meter) add(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Done += int64(bytes)
	m.moved = m.now()
}

func (m *meter) file() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p.Files++
	m.moved = m.now()
}

func (m *meter) get() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p
}

// watch ends ctx when nothing moves, and calls f once a second, until stop.
func (m *meter) watch(ctx context.Context, patience time.Duration, f func(context.Context, Progress) error) (watched context.Context, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-watched.Done():
				return
			case <-tick.C:
			}
			if err := f(watched, m.get()); constellation.KindOf(err) == constellation.KindConflict && err != nil {
				cancel(err)
			}
			m.mu.Lock()
			idle := m.now().Sub(m.moved)
			m.mu.Unlock()
			if idle > patience {
				cancel(constellation.Errorf(constellation.KindUnavailable, "nothing has moved for %s: the storage or the target does not answer; run it again, and it goes on", idle.Round(time.Second)))
			}
		}
	}()
	return watched, func() {
		cancel(nil)
		<-ended
	}
}

// why returns the reason that ctx ended for, if that is what err comes from.
func why(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

// metered counts what is read.
type metered struct {
	r io.Reader
	m *meter
}

// Read implements io.Reader.
func (m metered) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	m.m.add(n)
	return n, err
}
