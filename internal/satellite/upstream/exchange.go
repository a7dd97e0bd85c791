package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// conn is a connection to a replica; one call uses it at a time, with no
// goroutine of its own.
type conn struct {
	net.Conn
	br   *bufio.Reader
	used time.Time
}

// connect returns a live idle connection, or a new one.
func (h *Host) connect(ctx context.Context, deadline time.Time) (c *conn, reused bool, err error) {
	for c := h.takeIdle(); c != nil; c = h.takeIdle() {
		if eventloop.Alive(c.Conn) {
			return c, true, nil
		}
		_ = c.Close()
	}
	// One that an event loop left idle is closed first: a langserver may have
	// no more threads than it has slots.
	h.closeOneStream()
	nc, err := h.dial(ctx, deadline)
	if err != nil {
		return nil, false, notStartedError{fmt.Errorf("connect to replica %s: %w", h.addr, err)}
	}
	return &conn{Conn: nc, br: bufio.NewReader(nc)}, false, nil
}

// postRequest is how http.ReadResponse learns how to find the end of an answer.
var postRequest = &http.Request{Method: http.MethodPost}

// Exchange sends head and body and reads the answer, up to limit bytes of it.
// When ctx ends, the exchange is cut. The error is one of NotStarted,
// ErrTimedOut, memory.ErrTooLarge, memory.ErrNoRoom, ctx's cause, or what the
// connection died of.
func (h *Host) Exchange(ctx context.Context, deadline time.Time, head *memory.Buffer, body []byte, limit int, share *memory.Share) (protocol.Answer, error) {
	for {
		c, reused, err := h.connect(ctx, deadline)
		if err != nil {
			return protocol.Answer{}, err
		}
		a, err := h.exchangeOn(ctx, c, deadline, head, body, limit, share)
		if NotStarted(err) && reused {
			continue // the connection had died; a new one tells
		}
		return a, err
	}
}

func (h *Host) exchangeOn(ctx context.Context, c *conn, deadline time.Time, head *memory.Buffer, body []byte, limit int, share *memory.Share) (protocol.Answer, error) {
	if err := c.SetDeadline(deadline); err != nil {
		_ = c.Close()
		return protocol.Answer{}, notStartedError{err}
	}
	stop := func() bool { return true }
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	}
	a, keep, err := c.roundTrip(head, body, limit, share)
	uncut := stop()
	if err == nil && keep && uncut {
		h.keep(c, time.Now())
		return a, nil
	}
	_ = c.Close()
	switch {
	case err == nil:
		return a, nil
	case !uncut && ctx.Err() != nil:
		return protocol.Answer{}, context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return protocol.Answer{}, ErrTimedOut
	}
	return protocol.Answer{}, err
}

// roundTrip does one exchange, and reports whether the connection may be kept.
func (c *conn) roundTrip(head *memory.Buffer, body []byte, limit int, share *memory.Share) (a protocol.Answer, keep bool, err error) {
	var (
		sent     int64
		writeErr error
	)
	if len(body) <= protocol.SmallBody {
		n := len(head.B)
		head.B = append(head.B, body...)
		var wrote int
		wrote, writeErr = c.Write(head.B)
		sent, head.B = int64(wrote), head.B[:n]
	} else {
		buffers := net.Buffers{head.B, body}
		sent, writeErr = buffers.WriteTo(c.Conn)
	}
	if writeErr != nil && sent == 0 && !errors.Is(writeErr, os.ErrDeadlineExceeded) {
		return protocol.Answer{}, false, notStartedError{writeErr}
	}
	// After a failed write there may still be an answer, such as "too large".
	a, closes, err := readAnswer(c.br, limit, share)
	if err != nil {
		if writeErr != nil && !errors.Is(err, memory.ErrTooLarge) && !errors.Is(err, memory.ErrNoRoom) {
			err = writeErr
		}
		return protocol.Answer{}, false, fmt.Errorf("read the replica's answer: %w", err)
	}
	return a, writeErr == nil && !closes && c.br.Buffered() == 0, nil
}

// readAnswer reads one final answer, and reports whether the connection closes
// after it.
func readAnswer(br *bufio.Reader, limit int, share *memory.Share) (a protocol.Answer, closes bool, err error) {
	response, err := readResponse(br) //nolint:bodyclose // the connection is ours: it is kept or closed whole
	if err != nil {
		return protocol.Answer{}, false, err
	}
	contentType := response.Header.Get("Content-Type")
	share.Expect(contentType)
	content, err := memory.ReadAll(response.Body, response.ContentLength, limit, share)
	if err != nil {
		return protocol.Answer{}, false, err
	}
	return protocol.Answer{Status: response.StatusCode, ContentType: contentType, Body: content}, response.Close, nil
}

// readResponse reads a final response's head.
func readResponse(br *bufio.Reader) (*http.Response, error) {
	for range 5 {
		response, err := http.ReadResponse(br, postRequest)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		if response.StatusCode >= 200 {
			return response, nil
		}
		if response.StatusCode == http.StatusSwitchingProtocols {
			break
		}
	}
	return nil, errors.New("no final answer, only interim ones")
}
