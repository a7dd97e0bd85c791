package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// replica answers each request by respond, whose result is written as it is; nil
// closes the connection.
type replica struct {
	addr     string
	accepted atomic.Int32 // connections
}

func startReplica(t *testing.T, respond func(r *http.Request, body []byte) []byte) *replica {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	s := &replica{addr: ln.Addr().String()}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			t.Cleanup(func() { _ = conn.Close() })
			go func() {
				defer func() { _ = conn.Close() }()
				br := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					body, err := io.ReadAll(request.Body)
					if err != nil {
						return
					}
					answer := respond(request, body)
					if answer == nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s
}

// ok answers with the request's body.
func ok(_ *http.Request, body []byte) []byte {
	return append([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...)
}

// send exchanges body with the replica, and returns the answer's status and body.
func send(ctx context.Context, h *Host, timeout time.Duration, body string, limit int) (int, string, error) {
	head := memory.NewBuffer(256)
	defer head.Release()
	head.B = append(head.B, "POST / HTTP/1.1\r\nHost: replica\r\nContent-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"...)
	a, err := h.Exchange(ctx, time.Now().Add(timeout), head, []byte(body), limit, nil)
	if err != nil {
		return 0, "", err
	}
	defer a.Body.Release()
	return a.Status, string(a.Body.B), nil
}

// TestExchangesShareAConnection: one exchange after the other takes the same
// connection, whatever the size of what is sent.
func TestExchangesShareAConnection(t *testing.T) {
	s := startReplica(t, ok)
	h := NewHost(s.addr)
	defer h.Close()
	for _, body := range []string{"", "small", strings.Repeat("x", 1<<20), "small again"} {
		status, got, err := send(t.Context(), h, waittest.Timeout, body, 2<<20)
		if err != nil || status != 200 || got != body {
			t.Errorf("an exchange of %d bytes: %d, %d bytes, %v", len(body), status, len(got), err)
		}
	}
	if n := s.accepted.Load(); n != 1 {
		t.Errorf("four exchanges took %d connections, want 1", n)
	}
	h.CloseIdle(time.Time{})
	if _, _, err := send(t.Context(), h, waittest.Timeout, "x", 1); err != nil {
		t.Error(err)
	}
	if n := s.accepted.Load(); n != 2 {
		t.Errorf("after CloseIdle there are %d connections, want 2", n)
	}
	h.Close() // keeps none from now on
	for range 2 {
		if _, _, err := send(t.Context(), h, waittest.Timeout, "x", 1); err != nil {
			t.Error(err)
		}
	}
	if n := s.accepted.Load(); n != 4 {
		t.Errorf("two exchanges with a closed host took %d connections, want 2", n-2)
	}
}

// TestConnectionsThatAreNotKept: after an answer that says so, or that is followed
// by more, the connection is not used again.
func TestConnectionsThatAreNotKept(t *testing.T) {
	for name, answer := range map[string]string{
		"close":       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.0":    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
		"more bytes":  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n",
		"interim too": "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := startReplica(t, func(*http.Request, []byte) []byte { return []byte(answer) })
			h := NewHost(s.addr)
			defer h.Close()
			for range 2 {
				if status, got, err := send(t.Context(), h, waittest.Timeout, "", 10); err != nil || status != 200 || got != "x" {
					t.Errorf("%d %q, %v; want 200 x", status, got, err)
				}
			}
			if n := s.accepted.Load(); n != 2 {
				t.Errorf("two exchanges took %d connections, want 2", n)
			}
		})
	}
}

// TestErrorsOfExchanges: NotStarted is said of nothing that the replica may have
// begun.
func TestErrorsOfExchanges(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := ln.Addr().String()
	_ = ln.Close()
	hang := make(chan bool)
	defer close(hang)
	answering := func(answer string) string {
		return startReplica(t, func(*http.Request, []byte) []byte {
			if answer == "" {
				return nil
			}
			return []byte(answer)
		}).addr
	}
	hanging := startReplica(t, func(*http.Request, []byte) []byte { <-hang; return nil }).addr
	cause := errors.New("the caller went away")
	gone, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	for _, test := range []struct {
		name       string
		addr       string
		ctx        context.Context
		timeout    time.Duration
		notStarted bool
		is         error
	}{
		{"nobody listens", nobody, t.Context(), waittest.Timeout, true, nil},
		{"closed without an answer", answering(""), t.Context(), waittest.Timeout, false, io.ErrUnexpectedEOF},
		{"half an answer", answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nx"), t.Context(), 100 * time.Millisecond, false, ErrTimedOut},
		{"only interim answers", answering(strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 6)), t.Context(), waittest.Timeout, false, nil},
		{"too large", answering("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + strings.Repeat("x", 20)), t.Context(), waittest.Timeout, false, memory.ErrTooLarge},
		{"no answer in time", hanging, t.Context(), 100 * time.Millisecond, false, ErrTimedOut},
		{"cut", hanging, gone, waittest.Timeout, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := NewHost(test.addr)
			defer h.Close()
			_, _, err := send(test.ctx, h, test.timeout, "x", 10)
			if err == nil {
				t.Fatal("there is no error")
			}
			if test.ctx.Err() == nil && NotStarted(err) != test.notStarted {
				t.Errorf("NotStarted(%v) = %t, want %t", err, NotStarted(err), test.notStarted)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("the error is %v, want %v", err, test.is)
			}
		})
	}
	// A call that is cut while its replica works ends with the cause.
	h := NewHost(hanging)
	defer h.Close()
	ctx, cut := context.WithCancelCause(t.Context())
	go cut(cause)
	if _, _, err := send(ctx, h, waittest.Timeout, "x", 10); !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("an exchange that was cut ends with %v, want %v", err, cause)
	}
}

// TestADeadConnectionIsNoFailure: a replica may close a connection that nobody
// uses; the next exchange takes a new one.
func TestADeadConnectionIsNoFailure(t *testing.T) {
	s := startReplica(t, func(_ *http.Request, body []byte) []byte {
		if bytes.Equal(body, []byte("close")) {
			return nil
		}
		return ok(nil, body)
	})
	h := NewHost(s.addr)
	defer h.Close()
	if _, _, err := send(t.Context(), h, waittest.Timeout, "x", 10); err != nil {
		t.Fatal(err)
	}
	// The kernel's side of it: the idle connection is shut down under the host.
	h.mu.Lock()
	for _, c := range h.idle {
		_ = c.Conn.(*net.TCPConn).CloseWrite()
	}
	h.mu.Unlock()
	if _, got, err := send(t.Context(), h, waittest.Timeout, "y", 10); err != nil || got != "y" {
		t.Errorf("an exchange after the connection died: %q, %v", got, err)
	}
	if n := s.accepted.Load(); n != 2 {
		t.Errorf("there were %d connections, want 2", n)
	}
}
