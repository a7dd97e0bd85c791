package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/retry"
)

const (
	endTimeout   = 10 * time.Second
	serveTimeout = 5 * time.Second
)

// restartPauses are those between two tries to end a process that will not, and
// to find the next one.
var restartPauses = retry.Backoff{First: 200 * time.Millisecond, Most: 10 * time.Second}

// Restart ends a langserver on which a call timed out, since a langserver cannot
// cancel the call, and reports whether a new process serves. It gives up when ctx
// ends or the replica is not wanted any more.
func Restart(ctx context.Context, addr string, wanted func() bool, log *slog.Logger) bool {
	failures, ended := 0, false // to end the process
	for wanted() {
		if !ended {
			if ended = endProcess(ctx, addr); !ended {
				log.Warn("the replica timed out and does not end", "replica", addr)
				failures++
			}
		}
		if ended {
			failures = 0
			if isServing(ctx, addr) {
				log.Info("the replica serves again", "replica", addr)
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(restartPauses.Delay(failures)):
		}
	}
	return false
}

// endProcess sends DELETE and reports whether the process is gone: nothing
// listens, or the connection that carried the DELETE was closed by its end.
func endProcess(ctx context.Context, addr string) bool {
	dialer := net.Dialer{Timeout: serveTimeout}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return true
	}
	defer func() { _ = c.Close() }()
	if c.SetDeadline(time.Now().Add(endTimeout)) != nil {
		return false
	}
	if _, err := io.WriteString(c, "DELETE / HTTP/1.1\r\nHost: "+addr+"\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return false
	}
	br := bufio.NewReader(c)
	response, err := http.ReadResponse(br, &http.Request{Method: http.MethodDelete})
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return false
		}
	}
	_, err = io.Copy(io.Discard, br)
	var timeout net.Error
	return !errors.As(err, &timeout) || !timeout.Timeout()
}

// isServing reports whether a langserver answers GET with 200.
func isServing(ctx context.Context, addr string) bool {
	dialer := net.Dialer{Timeout: serveTimeout}
	c, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	if c.SetDeadline(time.Now().Add(serveTimeout)) != nil {
		return false
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+addr+"\r\nConnection: close\r\n\r\n"); err != nil {
		return false
	}
	response, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}
