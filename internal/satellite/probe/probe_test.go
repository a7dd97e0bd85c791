package probe

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/waittest"
)

// langserver is a replica whose process ends when it is sent DELETE, and comes
// back as another one.
type langserver struct {
	addr string

	mu       sync.Mutex
	refuse   int // how many times DELETE is answered with 500
	notReady int // how many times GET is answered with 503 after that
	requests []string
}

// startLangserver serves until the test ends.
func startLangserver(t *testing.T, refuse, notReady int) *langserver {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	s := &langserver{addr: ln.Addr().String(), refuse: refuse, notReady: notReady}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
	return s
}

// serve answers one request, and closes the connection as the end of a process does.
func (s *langserver) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request.Method)
	status := "200 OK"
	switch {
	case request.Method == http.MethodDelete && s.refuse > 0:
		s.refuse--
		status = "500 Internal Server Error"
	case request.Method == http.MethodGet && s.notReady > 0:
		s.notReady--
		status = "503 Service Unavailable"
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")
}

func TestRestart(t *testing.T) {
	always := func() bool { return true }
	for _, test := range []struct {
		name             string
		refuse, notReady int
		want             string
	}{
		{"at once", 0, 0, "DELETE GET"},
		{"a new process that loads", 0, 2, "DELETE GET GET GET"},
		{"one that does not want to end", 2, 0, "DELETE DELETE DELETE GET"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := startLangserver(t, test.refuse, test.notReady)
			ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
			defer cancel()
			if !Restart(ctx, s.addr, always, slog.New(slog.DiscardHandler)) {
				t.Error("Restart() = false, want true")
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if got := strings.Join(s.requests, " "); got != test.want {
				t.Errorf("the replica was asked %s, want %s", got, test.want)
			}
		})
	}
}

// TestRestartGivesUp: of a replica that is not wanted any more, or once its
// context ended, nothing more is asked.
func TestRestartGivesUp(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	s := startLangserver(t, 0, 0)
	if Restart(t.Context(), s.addr, func() bool { return false }, log) {
		t.Error("Restart() = true of a replica that is not wanted")
	}
	if len(s.requests) > 0 {
		t.Errorf("a replica that is not wanted was asked %v", s.requests)
	}
	// A process that is gone and has no successor: nothing listens.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var looks atomic.Int32
	wanted := func() bool {
		if looks.Add(1) == 2 {
			cancel()
		}
		return true
	}
	if Restart(ctx, addr, wanted, log) {
		t.Error("Restart() = true, and nothing listens")
	}
}

// TestEndProcessWaitsForTheEnd: a process is gone when its connection ended, not
// when it answered.
func TestEndProcessWaitsForTheEnd(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	answered, end := make(chan bool), make(chan bool)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		close(answered)
		<-end
	}()
	gone := make(chan bool, 1)
	go func() { gone <- endProcess(t.Context(), ln.Addr().String()) }()
	waittest.Receive(t, "the answer to DELETE", answered)
	select {
	case <-gone:
		t.Error("the process is taken for gone while its connection is open")
	default:
	}
	close(end)
	if !waittest.Receive(t, "the end of the process", gone) {
		t.Error("endProcess() = false after the connection ended, want true")
	}
}

// TestReason: the first replica with something to say is quoted, and no caller
// waits for it.
func TestReason(t *testing.T) {
	var asked atomic.Int32
	answer := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	replicas := []string{
		answer(200, `{"error":{"message":"serves"}}`),
		answer(503, `no JSON`),
		answer(503, `{"error":{"message":"the model is loaded"}}`),
		answer(503, `{"error":{"message":"never asked"}}`),
	}
	var r Reason
	done := make(chan bool)
	list := func() []string { close(done); return replicas }
	if got := r.Text(t.Context(), list); got != "" {
		t.Errorf("Text() = %q before anybody was asked", got)
	}
	waittest.Receive(t, "the replicas' list", done)
	for deadline := time.Now().Add(waittest.Timeout); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		text, asking := r.text, r.asking
		r.mu.Unlock()
		if !asking {
			if text != "the model is loaded" {
				t.Errorf("the reason is %q, want the model is loaded", text)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the replicas are asked for ever")
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("%d replicas were asked, want 3", n)
	}
}

// TestReasonsAreBounded: a reason is no longer than maxReason, and of a body that is
// too long there is none.
func TestReasonsAreBounded(t *testing.T) {
	for _, test := range []struct{ message, want int }{{maxReason + 1, maxReason}, {maxBody, 0}} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = io.WriteString(w, `{"error":{"message":"`+strings.Repeat("x", test.message)+`"}}`)
		}))
		if got := whyNotReady(t.Context(), s.Listener.Addr().String()); len(got) != test.want {
			t.Errorf("a message of %d bytes gives a reason of %d, want %d", test.message, len(got), test.want)
		}
		s.Close()
	}
}
