package callback

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const launchSecret = "the secret of a launch in a test"

func startQueue(t *testing.T) *queue.Queue {
	t.Helper()
	n, err := node.Start(t.Context(), node.Options{Name: "queue-0", Dir: t.TempDir(), Secret: []byte(launchSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close(context.Background()) })
	q, err := queue.Connect(t.Context(), queue.Options{Node: n, Secret: []byte(launchSecret)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	eventually(t, "the queue is ready", func() bool { return q.Ready() == nil })
	return q
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// start starts a sender to receivers on this machine, with short waits.
func start(t *testing.T, q *queue.Queue, opts Options) *Sender {
	t.Helper()
	opts.Queue, opts.Secret = q, []byte(launchSecret)
	opts.InitialBackoff, opts.MaxBackoff, opts.PollInterval = time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	if opts.Allow == nil {
		opts.Allow = func() []string { return []string{"127.0.0.1"} }
	}
	if opts.Fetch == nil {
		opts.Fetch = func(_ context.Context, ticket string) (Result, error) {
			return Result{State: "succeeded", ContentType: "application/json", Body: []byte(`{"result":"` + ticket + `"}`)}, nil
		}
	}
	opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	s := New(opts)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// receiver is what results are posted to.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	posts []*http.Request
	body  [][]byte
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	r := new(receiver)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		r.posts, r.body = append(r.posts, request), append(r.body, body)
		r.mu.Unlock()
		if answer != nil {
			answer(w, request)
		}
	}))
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.posts)
}

func enqueue(t *testing.T, q *queue.Queue, ticket, url string) {
	t.Helper()
	if err := Enqueue(t.Context(), q, Message{Ticket: ticket, RequestID: "req-" + ticket, KeyID: "k1", URL: url}); err != nil {
		t.Fatal(err)
	}
}

func (s *Sender) counted(outcome string) float64 {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.opts.Outcomes)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		return -1
	}
	for _, m := range families[0].GetMetric() {
		if m.GetLabel()[0].GetValue() == outcome {
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

func TestAResultIsPostedAndSigned(t *testing.T) {
	q := startQueue(t)
	r := newReceiver(t, nil)
	s := start(t, q, Options{})
	enqueue(t, q, "t1", r.URL+"/hook?for=me")
	eventually(t, "the result is delivered", func() bool { return s.counted("delivered") == 1 })
	got := r.posts[0]
	if got.Method != http.MethodPost || got.URL.String() != "/hook?for=me" || string(r.body[0]) != `{"result":"t1"}` {
		t.Errorf("got %s %s %s", got.Method, got.URL, r.body[0])
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Webhook-Id": "req-t1", "X-Request-Id": "req-t1", "X-Constellation-State": "succeeded"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s = %q, want %q", name, got.Header.Get(name), want)
		}
	}
	// As a receiver does it, from the secret that it was given.
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(FormatSecret(SigningKey([]byte(launchSecret), "k1")), "whsec_"))
	if err != nil || len(secret) < 24 {
		t.Fatalf("the secret has %d bytes: %v", len(secret), err)
	}
	mac := hmac.New(sha256.New, secret)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", got.Header.Get("Webhook-Id"), got.Header.Get("Webhook-Timestamp"), r.body[0])
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Header.Get("Webhook-Signature") != want {
		t.Errorf("signature = %s, want %s", got.Header.Get("Webhook-Signature"), want)
	}
	if bytes.Equal(SigningKey([]byte(launchSecret), "k1"), SigningKey([]byte(launchSecret), "k2")) {
		t.Error("two keys have one secret")
	}
}

func TestAReceiverThatFailsIsTriedAgain(t *testing.T) {
	q := startQueue(t)
	var n atomic.Int32
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s := start(t, q, Options{})
	enqueue(t, q, "t1", r.URL)
	eventually(t, "the result is delivered", func() bool { return s.counted("delivered") == 1 })
	if r.count() != 3 || s.counted("retried") != 2 {
		t.Errorf("%d posts and %v failures, want 3 and 2", r.count(), s.counted("retried"))
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	q := startQueue(t)
	inside := newReceiver(t, nil)
	r := newReceiver(t, func(w http.ResponseWriter, request *http.Request) {
		to := "http://169.254.169.254/latest/meta-data/"
		if request.URL.Path == "/allowed" {
			to = inside.URL
		}
		http.Redirect(w, request, to, http.StatusTemporaryRedirect)
	})
	s := start(t, q, Options{})
	enqueue(t, q, "t1", r.URL)
	enqueue(t, q, "t2", r.URL+"/allowed")
	eventually(t, "redirects are failures", func() bool { return s.counted("retried") >= 3 })
	if inside.count() != 0 || s.counted("delivered") != 0 {
		t.Errorf("a redirect was followed %d times", inside.count())
	}
}

// TestANameThatTurnsIsNotReached: it is the metadata service's from the second
// look-up on.
func TestANameThatTurnsIsNotReached(t *testing.T) {
	q := startQueue(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	var lookups atomic.Int32
	s := start(t, q, Options{Resolve: func(context.Context, string) ([]netip.Addr, error) {
		if lookups.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("169.254.169.254")}, nil
	}})
	enqueue(t, q, "t1", strings.Replace(r.URL, "127.0.0.1", "turns.example", 1))
	eventually(t, "the name is refused", func() bool { return s.counted("refused") >= 1 })
	if r.count() != 1 {
		t.Errorf("%d posts, want the first alone", r.count())
	}
}

func TestOneThatHangsStopsNoOther(t *testing.T) {
	q := startQueue(t)
	leave := make(chan struct{})
	hangs := newReceiver(t, func(_ http.ResponseWriter, request *http.Request) {
		select {
		case <-leave:
		case <-request.Context().Done():
		}
	})
	defer close(leave)
	good := newReceiver(t, nil)
	s := start(t, q, Options{MaxConcurrent: 4, MaxPerHost: 2, Timeout: time.Minute})
	for i := range 20 {
		enqueue(t, q, fmt.Sprint("hangs", i), hangs.URL)
	}
	eventually(t, "the receiver hangs", func() bool { return hangs.count() == 2 })
	for i := range 20 {
		enqueue(t, q, fmt.Sprint("good", i), good.URL)
	}
	eventually(t, "the other one gets its results", func() bool { return s.counted("delivered") == 20 })
	if n := hangs.count(); n > 2 {
		t.Errorf("%d posts at once to the one that hangs, want 2 at most", n)
	}
}

func TestAnEndlessAnswerIsNotRead(t *testing.T) {
	q := startQueue(t)
	var wrote atomic.Int64
	r := newReceiver(t, func(w http.ResponseWriter, request *http.Request) {
		for request.Context().Err() == nil {
			n, err := w.Write(make([]byte, 64<<10))
			if wrote.Add(int64(n)); err != nil {
				return
			}
		}
	})
	s := start(t, q, Options{})
	enqueue(t, q, "t1", r.URL)
	eventually(t, "the result is delivered", func() bool { return s.counted("delivered") == 1 })
	if n := wrote.Load(); n > 32<<20 {
		t.Errorf("%d bytes of an answer were taken", n)
	}
}

func TestACallbackIsGivenUpInTheEnd(t *testing.T) {
	q := startQueue(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) })
	s := start(t, q, Options{Now: func() time.Time { return time.Now().Add(25 * time.Hour) }})
	enqueue(t, q, "t1", r.URL)
	eventually(t, "it is given up", func() bool { return s.counted("given_up") == 1 })
	gone := start(t, startQueue(t), Options{Fetch: func(context.Context, string) (Result, error) { return Result{}, ErrGone }})
	enqueue(t, gone.opts.Queue, "t2", r.URL)
	eventually(t, "it is given up without its result", func() bool { return gone.counted("given_up") == 1 })
	if r.count() != 1 {
		t.Errorf("%d posts, want 1", r.count())
	}
}

func TestOddCallbacksAreDropped(t *testing.T) {
	q := startQueue(t)
	r := newReceiver(t, nil)
	s := start(t, q, Options{})
	for i, data := range []string{"", "{", "[]", "{}", `{"ticket":"t","request_id":"r","key_id":"k","url":"ftp://host.example"}`, `{"ticket":"t","request_id":"r","key_id":"k","url":"http://user:secret@host.example"}`} {
		if _, err := q.Publish(t.Context(), queue.Message{Kind: queue.KindCallback, ID: fmt.Sprint("odd", i), Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	enqueue(t, q, "t1", r.URL)
	eventually(t, "the good one is delivered", func() bool { return s.counted("delivered") == 1 && s.counted("unreadable") == 6 })
}
