package connection

import (
	"context"
	"io"
	"net/http"
	"time"
)

// MaxErrorBytes is how much of an error's body is read.
const MaxErrorBytes = 64 << 10

// LongestWait is the most that a server's Retry-After is heeded.
const LongestWait = 2 * time.Minute

// WithStallTimer gives the response's body a stall timer, which calls cancel when no
// byte arrives for limit, and ends the request's context when it is closed.
func WithStallTimer(response *http.Response, limit time.Duration, cancel context.CancelCauseFunc) {
	response.Body = &stallBody{NewStallReader(response.Body, limit, cancel), response.Body, cancel}
}

// stallBody is a body with a stall timer.
type stallBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelCauseFunc
}

// Close closes the body.
func (b *stallBody) Close() error {
	defer b.cancel(nil)
	return b.body.Close()
}

// Drain reads the rest of a small answer, so that its connection is used again.
func Drain(response *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, MaxErrorBytes)) // nothing depends on it
	_ = response.Body.Close()
}
