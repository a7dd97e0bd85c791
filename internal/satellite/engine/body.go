package engine

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// readBody reads the whole body before a replica is asked for, so that a slow
// caller holds none. A large body waits for room in memory.
func (e *Engine) readBody(c *call.Call, w http.ResponseWriter, r *http.Request, share *memory.Share) (*memory.Buffer, *protocol.Failure) {
	body, err := memory.ReadAll(r.Body, r.ContentLength, protocol.MaxInput, share)
	switch {
	case errors.Is(err, memory.ErrTooLarge):
		discard(w, r)
		return nil, protocol.Refuse(http.StatusRequestEntityTooLarge, "the input is larger than 10 MiB")
	case errors.Is(err, memory.ErrNoRoom):
		return nil, &protocol.Failure{
			Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 1,
			Message: "the engine has too many large bodies at once; try again later",
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, protocol.Refuse(http.StatusRequestTimeout, "the body took too long to arrive")
	case err != nil:
		f := protocol.Refuse(http.StatusBadRequest, "the body was cut off or is not what its headers say")
		f.Cause = err
		return nil, f
	}
	if f := c.CheckBody(body); f != nil {
		body.Release()
		return nil, f
	}
	return body, nil
}

const discardFor = 2 * time.Second

// discard reads a body that nobody wants, up to the largest that there may be,
// so that callers who send before they listen hear why. What is beyond closes
// the connection.
func discard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength <= 2*protocol.MaxInput && r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardFor))
		_, _ = io.CopyN(io.Discard, r.Body, protocol.MaxInput)
	}
}
