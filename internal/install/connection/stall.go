package connection

import (
	"context"
	"errors"
	"io"
	"time"
)

// StallTimeout is how long a transfer may stand still.
const StallTimeout = 30 * time.Second

// ErrStalled is why a transfer ended on which nothing moved.
var ErrStalled = errors.New("no byte arrived for too long")

// stallReader ends a transfer whose body is silent for too long.
type stallReader struct {
	body  io.Reader
	limit time.Duration
	timer *time.Timer
}

// NewStallReader returns body with a stall timer: stop is called with [ErrStalled]
// when a read takes longer than limit.
func NewStallReader(body io.Reader, limit time.Duration, stop context.CancelCauseFunc) *stallReader {
	w := &stallReader{body: body, limit: limit, timer: time.AfterFunc(limit, func() { stop(ErrStalled) })}
	w.timer.Stop()
	return w
}

// Read reads within the limit.
func (w *stallReader) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	defer w.timer.Stop()
	return w.body.Read(p)
}
