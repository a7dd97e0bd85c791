package callback

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/outbound"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Message is a queued post of a result.
type Message struct {
	Ticket    string `json:"ticket"` // by which the result is fetched
	RequestID string `json:"request_id"`
	KeyID     string `json:"key_id"`
	URL       string `json:"url"`
}

// Result is a call's result as it is posted.
type Result struct {
	State       string
	ContentType string
	Body        []byte
}

// ErrGone is returned by Options.Fetch for a result that is not kept any more.
var ErrGone = errors.New("the result is not kept any more")

// Options configures a Sender. Queue, Fetch and Secret are required; the zero value
// of any other field means its default.
type Options struct {
	Queue  *queue.Queue
	Fetch  func(ctx context.Context, ticket string) (Result, error)
	Secret []byte          // the launch's
	Allow  func() []string // host names and prefixes beyond public addresses

	Resolve        outbound.Resolver // nil is the system's
	MaxAge         time.Duration     // how long after the call's end it is tried, a day
	Timeout        time.Duration     // of one attempt, 15s
	InitialBackoff time.Duration     // wait before the second attempt, 5s
	MaxBackoff     time.Duration     // the longest wait between attempts, 1h
	PollInterval   time.Duration     // how often the queue is polled besides its signals, 2s
	MaxConcurrent  int               // posts at once, 16
	MaxPerHost     int               // of them to one host, 2
	Log            *slog.Logger
	Now            func() time.Time
	Outcomes       *prometheus.CounterVec // by outcome; nil counts nothing
}

// Sender posts results.
type Sender struct {
	opts   Options
	log    *slog.Logger
	client *http.Client
	slots  chan struct{}

	hosts hosts
}

// Bounds.
const (
	maxAnswer = 64 << 10 // what is read of a receiver's answer
	lineName  = ""       // callbacks are one line, of all algorithms
)

// NewOutcomes returns the counter of posts by outcome.
func NewOutcomes() *prometheus.CounterVec {
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "constellation_callbacks_total", Help: "Posts of durable calls' results by outcome: delivered, retried, refused (an address that may not be reached, tried again), given_up, unreadable.",
	}, []string{"outcome"})
	for _, outcome := range []string{"delivered", "retried", "refused", "given_up", "unreadable"} {
		outcomes.WithLabelValues(outcome)
	}
	return outcomes
}

// New returns a sender, which sends nothing until Run.
func New(opts Options) *Sender {
	opts.MaxAge = cmp.Or(opts.MaxAge, 24*time.Hour)
	opts.Timeout = cmp.Or(opts.Timeout, 15*time.Second)
	opts.PollInterval = cmp.Or(opts.PollInterval, 2*time.Second)
	opts.MaxConcurrent, opts.MaxPerHost = cmp.Or(opts.MaxConcurrent, 16), cmp.Or(opts.MaxPerHost, 2)
	opts.InitialBackoff, opts.MaxBackoff = cmp.Or(opts.InitialBackoff, 5*time.Second), cmp.Or(opts.MaxBackoff, time.Hour)
	if opts.Allow == nil {
		opts.Allow = func() []string { return nil }
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Outcomes == nil {
		opts.Outcomes = NewOutcomes()
	}
	d := dialer(opts.Resolve, opts.Allow)
	transport := &http.Transport{
		Proxy:       nil, // a proxy would connect to what we may not check
		DialContext: d.DialContext, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: 10 * time.Second, MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives: true, // the address is checked at each post
	}
	return &Sender{
		opts: opts, log: opts.Log, slots: make(chan struct{}, opts.MaxConcurrent), hosts: hosts{atOnce: opts.MaxPerHost, now: opts.Now, all: map[string]*hostState{}},
		client: &http.Client{
			Transport: transport, Timeout: opts.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Enqueue stores a result that is to be posted. The same one again within two
// minutes is one.
func Enqueue(ctx context.Context, q *queue.Queue, m Message) error {
	data, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write a callback: %w", err)
	}
	_, err = q.Publish(ctx, queue.Message{Kind: queue.KindCallback, Algorithm: lineName, ID: "callback-" + m.Ticket, Data: data})
	if err != nil && !errors.Is(err, queue.ErrUnknown) {
		return fmt.Errorf("store a callback: %w", err)
	}
	return err
}

// Run posts what there is until ctx ends, and returns once the posts that go on
// have ended.
func (s *Sender) Run(ctx context.Context) {
	var posts sync.WaitGroup
	defer posts.Wait()
	hint := make(chan struct{}, 1)
	stop := s.opts.Queue.Watch(queue.KindCallback, lineName, func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	})
	defer stop()
	for {
		for s.takeOne(ctx, &posts) {
		}
		poll := time.NewTimer(s.opts.PollInterval/2 + rand.N(s.opts.PollInterval)) //nolint:gosec // jitter
		select {
		case <-ctx.Done():
			poll.Stop()
			return
		case <-hint:
		case <-poll.C:
		}
		poll.Stop()
	}
}

// takeOne begins the next post, and reports whether there was one.
func (s *Sender) takeOne(ctx context.Context, posts *sync.WaitGroup) bool {
	select {
	case <-ctx.Done():
		return false
	case s.slots <- struct{}{}:
	}
	d, err := s.opts.Queue.Next(ctx, queue.KindCallback, lineName)
	if err != nil || d == nil {
		<-s.slots
		return false
	}
	posts.Go(func() {
		defer func() { <-s.slots }()
		s.handle(context.WithoutCancel(ctx), d) // a post that began is not worth breaking off
	})
	return true
}

// handle posts one result, or gives it back.
func (s *Sender) handle(ctx context.Context, d *queue.Delivery) {
	m, host, err := decode(d.Data)
	if err != nil {
		s.log.Error("a callback in the queue cannot be read and is dropped", "seq", d.Seq, "error", err)
		s.end(ctx, d, "unreadable")
		return
	}
	if wait := s.hosts.enter(host); wait > 0 {
		_ = d.Retry(wait)
		return
	}
	err = s.post(ctx, m)
	s.hosts.leave(host, err == nil || errors.Is(err, ErrGone))
	log := s.log.With("request_id", m.RequestID, "host", host)
	switch {
	case err == nil:
		s.end(ctx, d, "delivered")
	case errors.Is(err, ErrGone):
		log.Warn("a callback is given up: its result is not kept any more")
		s.end(ctx, d, "given_up")
	case s.opts.Now().Sub(d.Stored) > s.opts.MaxAge:
		log.Warn("a callback is given up: its receiver took it at no attempt", "error", err)
		s.end(ctx, d, "given_up")
	default:
		outcome := "retried"
		if errors.As(err, new(refusedError)) {
			outcome = "refused"
		}
		s.opts.Outcomes.WithLabelValues(outcome).Inc()
		log.Info("a callback is tried again later", "error", err, "attempt", d.Delivered)
		_ = d.Retry(s.delay(s.opts.Now().Sub(d.Stored)))
	}
}

func (s *Sender) end(ctx context.Context, d *queue.Delivery, outcome string) {
	s.opts.Outcomes.WithLabelValues(outcome).Inc()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.Done(ctx); err != nil {
		s.log.Warn("a callback that has ended is still in the queue", "error", err)
	}
}

// decode reads and validates a stored callback.
func decode(data []byte) (m Message, host string, err error) {
	if err := json.Unmarshal(data, &m); err != nil {
		return m, "", fmt.Errorf("read a callback: %w", err)
	}
	v := new(constellation.Validation)
	constellation.CheckCallbackURL(v, "url", m.URL)
	if err := v.Err(); err != nil {
		return m, "", err
	}
	u, err := url.Parse(m.URL)
	if err != nil || m.Ticket == "" || m.RequestID == "" || m.KeyID == "" {
		return m, "", errors.New("read a callback: it does not say what is posted where")
	}
	return m, strings.ToLower(u.Host), nil
}

// delay returns how long a result waits that was not taken at some age: about as
// long again as it is old, so that waits grow, and no two results come back
// together.
func (s *Sender) delay(age time.Duration) time.Duration {
	d := min(max(age, s.opts.InitialBackoff), s.opts.MaxBackoff)
	return d/2 + rand.N(d) //nolint:gosec // jitter
}

// post posts a result once. Any answer of 2xx has taken it.
func (s *Sender) post(ctx context.Context, m Message) error {
	result, err := s.opts.Fetch(ctx, m.Ticket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(result.Body))
	if err != nil {
		return fmt.Errorf("post a result: %w", err)
	}
	at := s.opts.Now()
	h := request.Header
	h.Set("User-Agent", "constellation-engine")
	if result.ContentType != "" {
		h.Set("Content-Type", result.ContentType)
	}
	h.Set("Webhook-Id", m.RequestID)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", Sign(SigningKey(s.opts.Secret, m.KeyID), m.RequestID, at, result.Body))
	h.Set("X-Request-Id", m.RequestID)
	h.Set("X-Constellation-State", result.State)
	answer, err := s.client.Do(request)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // without the URL, which may have a password in its query
		}
		return fmt.Errorf("post a result: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("post a result: the receiver answered %s", answer.Status)
	}
	return nil
}

// Pending returns how many results are still to be posted.
func Pending(ctx context.Context, q *queue.Queue) (uint64, error) {
	p, err := q.Pending(ctx, queue.KindCallback, lineName)
	return p.Waiting + p.Running, err
}
