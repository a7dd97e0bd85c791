package install

import (
	"context"
	"errors"
	"io"
	"time"
)

var errIdle = errors.New("no byte arrived for too long")

// watched ends a transfer whose reader is silent for too long.
type watched struct {
	body  io.Reader
	limit time.Duration
	timer *time.Timer
}

// watch calls stop with errIdle when a read of body takes longer than limit.
func watch(body io.Reader, limit time.Duration, stop context.CancelCauseFunc) *watched {
	w := &watched{body: body, limit: limit, timer: time.AfterFunc(limit, func() { stop(errIdle) })}
	w.timer.Stop()
	return w
}

// Read reads within the limit.
func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(w.limit)
	defer w.timer.Stop()
	return w.body.Read(p)
}
