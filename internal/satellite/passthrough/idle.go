package passthrough

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// watch ends an exchange of which nothing has moved, either way, for a time.
type watch struct {
	idle   time.Duration
	moved  atomic.Int64 // when something did, in nanoseconds since start
	start  time.Time
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

// newWatch starts to watch. cancel is called with upstream.ErrTimedOut.
func newWatch(idle time.Duration, cancel context.CancelCauseFunc) *watch {
	w := &watch{idle: idle, start: time.Now(), cancel: cancel}
	w.timer = time.AfterFunc(idle, w.look)
	return w
}

func (w *watch) look() {
	if left := w.idle - (time.Since(w.start) - time.Duration(w.moved.Load())); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.cancel(upstream.ErrTimedOut)
}

// move notes that something moved.
func (w *watch) move() { w.moved.Store(int64(time.Since(w.start))) }

func (w *watch) stop() { w.timer.Stop() }

// deadline renews a connection's deadline as an exchange goes on, and not at
// every step of it.
type deadline struct {
	idle time.Duration
	set  func(time.Time) error
	at   time.Time
}

// deadlineSlack is how much later than the watch a deadline ends a wait.
const deadlineSlack = 500 * time.Millisecond

func (d *deadline) renew() {
	now := time.Now()
	if now.Sub(d.at) < deadlineSlack/2 {
		return
	}
	d.at = now
	_ = d.set(now.Add(d.idle + deadlineSlack))
}
