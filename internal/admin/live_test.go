package admin

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// listen opens the stream and returns its data lines, until the stream ends.
func listen(t *testing.T, server *httptest.Server, cookie *http.Cookie) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(cookie)
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET /live = %d %s", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	lines := make(chan string, 100)
	go func() {
		defer answer.Body.Close()
		defer close(lines)
		for s := bufio.NewScanner(answer.Body); s.Scan(); {
			if data, ok := strings.CutPrefix(s.Text(), "data: "); ok {
				lines <- data
			}
		}
	}()
	return lines
}

// next waits for a line of the stream.
func next(t *testing.T, lines <-chan string) (string, bool) {
	t.Helper()
	select {
	case line, ok := <-lines:
		return line, ok
	case <-time.After(2 * time.Minute):
		t.Fatal("waited 20 s for the stream")
		return "", false
	}
}

func TestLiveTellsWhatChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo := w.visitor("neo", constellation.RoleAdmin)
	s := w.satellite("Edge")
	running, stopRunning := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { w.control.Run(running) })
	defer done.Wait()
	defer stopRunning()
	for deadline := time.Now().Add(15 * time.Second); !w.control.Listening(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited 15 s for the feed")
		}
	}
	stopping := make(chan struct{})
	server := httptest.NewServer(New(w.control, Options{PublicURL: "http://mothership.example.com", Stopping: stopping}))
	defer server.Close()
	lines := listen(t, server, neo)
	admin := control.Principal{Username: "neo", Role: constellation.RoleAdmin}
	if _, err := w.control.CreateLaunch(t.Context(), admin, s.ID, control.NewLaunch{Name: "Line 1"}); err != nil {
		t.Fatal(err)
	}
	if line, _ := next(t, lines); line != `["`+s.ID+`"]` {
		t.Errorf("the stream says %s, want the satellite %s", line, s.ID)
	}
	close(stopping) // the server's stop does not wait for browsers
	if line, open := next(t, lines); open {
		t.Errorf("after the server stops the stream says %s, want its end", line)
	}
	w.send("POST", "/logout", nil, neo)
	answer := w.send("GET", "/live", nil, neo)
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("the stream of nobody = %d, want 401", answer.StatusCode)
	}
}

// TestStreamsOfASession: a session has so many streams at once and no more,
// another one has its own, and one that ends makes room.
func TestStreamsOfASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "http://mothership.example.com")
	neo, trinity := w.visitor("neo", constellation.RoleAdmin), w.visitor("trinity", constellation.RoleViewer)
	server := httptest.NewServer(New(w.control, Options{PublicURL: "http://mothership.example.com"}))
	t.Cleanup(server.Close)
	status := func(cookie *http.Cookie) (int, context.CancelFunc) {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/live", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(cookie)
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		context.AfterFunc(ctx, func() { _ = answer.Body.Close() })
		return answer.StatusCode, cancel
	}
	var end context.CancelFunc
	for range maxStreams {
		got, cancel := status(neo)
		if end = cancel; got != http.StatusOK {
			t.Fatalf("GET /live = %d, want 200", got)
		}
		defer cancel()
	}
	got, cancel := status(neo)
	if cancel(); got != http.StatusTooManyRequests {
		t.Errorf("one stream more = %d, want 429", got)
	}
	got, cancel = status(trinity)
	if cancel(); got != http.StatusOK {
		t.Errorf("another session's stream = %d, want 200", got)
	}
	end()
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); {
		if got, cancel = status(neo); got == http.StatusOK {
			cancel()
			return
		}
		cancel()
	}
	t.Errorf("a stream after one ended = %d, want 200", got)
}
