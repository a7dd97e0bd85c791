package httpserve_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestServeFinishesRequestsUnderWay(t *testing.T) {
	t.Parallel()
	started, finish := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(started)
		waittest.Hold(t, finish)
		if r.Context().Err() != nil {
			t.Error("the request was cancelled by the server's stop")
		}
		_, _ = io.WriteString(w, "done")
	})
	listener, err := httpserve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopping := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- httpserve.Serve(ctx, httpserve.Config{
			Listener: listener, Log: quiet(), Grace: waittest.Timeout, OnStop: func() time.Duration { close(stopping); return 0 },
		}, handler)
	}()
	type answer struct {
		body string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			answered <- answer{err: err}
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		answered <- answer{string(body), err}
	}()
	waittest.Receive(t, "the request has begun", started)
	stop()
	waittest.Receive(t, "the server stops", stopping)
	close(finish)
	if got := waittest.Receive(t, "the answer", answered); got.err != nil || got.body != "done" {
		t.Errorf("the slow request got %q, %v; want done", got.body, got.err)
	}
	if err := waittest.Receive(t, "the end of Serve", ended); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := http.Get("http://" + listener.Addr().String()); err == nil {
		t.Error("the stopped server still answers")
	}
}

func TestServeStaysOpenForAWhile(t *testing.T) {
	t.Parallel()
	ready := &httpserve.Readiness{}
	listener, err := httpserve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopping := make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- httpserve.Serve(ctx, httpserve.Config{
			Listener: listener, Log: quiet(), Grace: waittest.Timeout,
			OnStop: func() time.Duration { ready.Stopping(); close(stopping); return 5 * time.Second },
		}, ready)
	}()
	stop()
	waittest.Receive(t, "the server stops", stopping)
	response, err := http.Get("http://" + listener.Addr().String() + "/readyz")
	if err != nil {
		t.Fatalf("a new connection while stopping: %v, want an answer", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "stopping") {
		t.Errorf("/readyz = %d %s, %v, want 503 stopping", response.StatusCode, body, err)
	}
	if err := waittest.Receive(t, "the end of Serve", ended); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestStartingIsQuiet refuses requests while the server starts: each is answered,
// and none is an error in the log, which one that fails later is.
func TestStartingIsQuiet(t *testing.T) {
	var said bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&said, nil)))
	defer func() {
		slog.SetDefault(before)
		log.SetOutput(os.Stderr) // which was given the other one's
	}()
	gate := &httpserve.Gate{}
	ask := func() *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		gate.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "GET", "/v1/satellites", nil))
		return answer
	}
	if answer := ask(); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") != "1" || !strings.Contains(answer.Body.String(), "starting") {
		t.Errorf("a request to a server that starts = %d %v %s, want 503, Retry-After 1 and why", answer.Code, answer.Header(), answer.Body)
	}
	if said.Len() > 0 {
		t.Errorf("the log of a server that starts says %s", &said)
	}
	gate.Open(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpserve.WriteError(w, r, constellation.Errorf(constellation.KindUnavailable, "the database is away"))
	}))
	if ask(); !strings.Contains(said.String(), "level=ERROR") {
		t.Errorf("the log of a request that failed says %q, want an error", &said)
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	l, err := httpserve.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = httpserve.Listen(t.Context(), l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a taken address: %v, want a hint at --listen", err)
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	ok := httpserve.Check{Name: "schema", Run: func(context.Context) error { return nil }}
	secret := errors.New("password hunter2 refused")
	tests := []struct {
		name   string
		check  error
		stop   bool
		status int
		want   string
	}{
		{"ready", nil, false, 200, `"ready":true`},
		{"says why", constellation.Errorf(constellation.KindUnavailable, "being restarted"), false, 503, `"reason":"database: being restarted"`},
		{"keeps causes to itself", secret, false, 503, `"reason":"database: not working; the server's log says why"`},
		{"stopping", nil, true, 503, `"reason":"the server is stopping"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ready := &httpserve.Readiness{}
			ready.Set(httpserve.Check{Name: "database", Run: func(context.Context) error { return tt.check }}, ok)
			if tt.stop {
				ready.Stopping()
			}
			w := httptest.NewRecorder()
			ready.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) || strings.Contains(w.Body.String(), "hunter2") {
				t.Errorf("got %d %s, want %d with %s", w.Code, w.Body, tt.status, tt.want)
			}
		})
	}
}

// chain is the middleware as the mothership stacks it.
func chain(t *testing.T, log *slog.Logger, trusted []string, handler http.Handler) http.Handler {
	t.Helper()
	address, err := httpserve.ClientAddress(trusted, log)
	if err != nil {
		t.Fatal(err)
	}
	r := chi.NewRouter()
	r.Use(httpserve.RequestID, address, httpserve.AccessLog(log), httpserve.Recover(log),
		httpserve.SecureHeaders(true), httpserve.LimitBody(100))
	r.Handle("/*", handler)
	return r
}

func TestPanicIsAnsweredWithTheID(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	h := chain(t, slog.New(slog.NewJSONHandler(&logged, nil)), nil, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("hunter2") }))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	id := w.Header().Get("X-Request-Id")
	var body struct {
		Error struct {
			ID   string
			Code int
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	if w.Code != 500 || id == "" || body.Error.ID != id || body.Error.Code != 5001 || strings.Contains(w.Body.String(), "hunter2") {
		t.Errorf("got %d %s with id %q", w.Code, w.Body, id)
	}
	if !strings.Contains(logged.String(), "hunter2") || !strings.Contains(logged.String(), id) {
		t.Errorf("the log has not the panic under its id: %s", logged.String())
	}
}

func TestAccessLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	h := chain(t, slog.New(slog.NewJSONHandler(&logged, nil)), nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	r := httptest.NewRequest("GET", "/setup?token=hunter2", nil)
	r.Header.Set("Authorization", "Simple cst_hunter2")
	r.Header.Set("X-Request-Id", "bad id\nwith a line")
	h.ServeHTTP(httptest.NewRecorder(), r)
	got := logged.String()
	if !strings.Contains(got, `"status":204`) || !strings.Contains(got, `"path":"/setup"`) {
		t.Errorf("access log %s", got)
	}
	if strings.Contains(got, "hunter2") || strings.Contains(got, "bad id") {
		t.Errorf("the access log has what it must not: %s", got)
	}
}

func TestLimitBody(t *testing.T) {
	t.Parallel()
	h := chain(t, quiet(), nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var tooLarge *http.MaxBytesError
		if _, err := io.ReadAll(r.Body); errors.As(err, &tooLarge) {
			w.WriteHeader(418)
		}
	}))
	for _, tt := range []struct {
		name    string
		size    int
		chunked bool
		want    int
	}{{"fits", 100, false, 200}, {"says it is too long", 101, false, 413}, {"does not say", 101, true, 418}} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", tt.size)))
		if tt.chunked {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, w.Code, tt.want)
		}
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(httpserve.Timeouts(200*time.Millisecond, time.Minute)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(401) // without a look at the body, as for who has no key
	})))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "POST /v2/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn) // until the server closes
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 401") {
		t.Errorf("a body that never comes: %q, %v; want 401 and the end of the connection", got, err)
	}
}

// TestAnAnswerLongerThanABodyMayTake: the time for a body is not over for a
// request without one, nor for what follows it on the same connection, as behind
// a proxy.
func TestAnAnswerLongerThanABodyMayTake(t *testing.T) {
	t.Parallel()
	const within = 50 * time.Millisecond
	server := httptest.NewServer(httpserve.Timeouts(within, time.Minute)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/long" {
			time.Sleep(4 * within)
		}
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})))
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, request := range []string{"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /long HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"} {
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != http.StatusOK {
			t.Errorf("the context of %q had ended", request)
		}
		_ = answer.Body.Close()
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		trusted   []string
		peer, xff string
		want      string
	}{
		{"nobody is trusted", nil, "192.0.2.1:99", "198.51.100.7", "192.0.2.1"},
		{"a stranger lies", []string{"10.0.0.0/8"}, "192.0.2.1:99", "198.51.100.7", "192.0.2.1"},
		{"a trusted proxy", []string{"10.1.2.3"}, "10.1.2.3:99", "198.51.100.7", "198.51.100.7"},
		{"a lie through a trusted proxy", []string{"10.0.0.0/8"}, "10.1.2.3:99", "1.1.1.1, 198.51.100.7", "198.51.100.7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got string
			h := chain(t, quiet(), tt.trusted, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = httpserve.Address(r) }))
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			r.Header.Set("X-Forwarded-For", tt.xff)
			h.ServeHTTP(httptest.NewRecorder(), r)
			if got != tt.want {
				t.Errorf("address = %q, want %q", got, tt.want)
			}
		})
	}
	if _, err := httpserve.ClientAddress([]string{"proxy.example"}, quiet()); constellation.KindOf(err) != constellation.KindInvalid {
		t.Errorf("a name as a proxy: %v, want invalid", err)
	}
}

// TestAnUntrustedProxyIsToldOnce: and a trusted one, or none, is not.
func TestAnUntrustedProxyIsToldOnce(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	h := chain(t, slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn})), []string{"10.0.0.0/8"},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, request := range []struct{ peer, header string }{
		{"192.0.2.1:1", "X-Forwarded-For"}, {"192.0.2.1:2", "Forwarded"}, {"10.1.2.3:1", "X-Forwarded-For"}, {"198.51.100.1:1", "X-Other"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = request.peer
		r.Header.Set(request.header, "203.0.113.1")
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	if got := lines.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "--trusted-proxy") || !strings.Contains(got, "peer=192.0.2.1") {
		t.Errorf("the log has %q, want one line that names the peer", got)
	}
}

func TestMetricsCountByRoute(t *testing.T) {
	t.Parallel()
	m := httpserve.NewMetrics("v1", "abc")
	inner := chi.NewRouter()
	inner.Get("/v1/satellites/{id}", func(http.ResponseWriter, *http.Request) {})
	r := chi.NewRouter()
	r.Use(m.Measure)
	r.Handle("/v1/*", inner)
	r.Handle("/metrics", m.Handler())
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v1/satellites/7", nil))
	r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("BREW", "/nothing", nil))
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`constellation_http_request_duration_seconds_count{method="GET",route="/v1/satellites/{id}",status="200"} 1`,
		`method="other"`,
		`constellation_build_info{commit="abc",go="go`,
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
}
