package async

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Algorithm is one that the satellite serves.
type Algorithm struct {
	VanityURL string
	Ref       string // OWNER/NAME/HASH
}

// EndedCall is a call with a callback URL that has ended.
type EndedCall struct {
	Ticket    string
	RequestID string
	KeyID     string
	URL       string
}

// Options configures a Service. Queue, Runner, IDs and Algorithms are required; the
// zero value of any other field means its default.
type Options struct {
	Queue      *queue.Queue
	Runner     Runner
	IDs        *IDCodec
	Algorithms func() []Algorithm // that are served now

	Attempts      int           // most runs of a call that may be retried, 5
	RetryTimeouts bool          // whether a call that timed out is retried
	Retention     time.Duration // of results, as callers are told
	RunningAfter  time.Duration // how long a call runs before that is recorded, 1s
	PollInterval  time.Duration // how often the queue is polled besides its signals, 2s

	// OnEnded is called when a call with a callback URL has ended, before it is
	// taken off the queue. It may be called more than once. Nil posts no callbacks.
	OnEnded func(context.Context, EndedCall) error

	Metrics *Metrics // nil counts nothing
	Log     *slog.Logger
	Now     func() time.Time
}

// Service accepts calls, runs those that are in the queue, and answers callers who
// ask for a call's state or result.
type Service struct {
	opts Options
	log  *slog.Logger
	now  func() time.Time

	taking      context.Context // new calls are taken off the queue until it ends
	stop        context.CancelFunc
	running     context.Context // calls run until it ends
	cut         context.CancelCauseFunc
	lanes       sync.WaitGroup // with the calls that they took
	active      chan struct{}  // has an element for each active call
	activeBytes atomic.Int64   // bytes of the inputs of active calls

	waits waits

	mu      sync.Mutex
	working map[Ticket]*activeCall
	waiters map[Ticket][]chan struct{}
	unsub   []func()
}

const (
	defaultAttempts = 5
	// maxActive bounds the active calls: those that run, of which there are as
	// many as there are slots, and those whose result is being stored.
	maxActive = 1024
	// maxActiveBytes bounds what their inputs take; one more may come beyond it.
	maxActiveBytes = 64 << 20
)

// New returns a service that takes no calls off the queue until Run.
func New(ctx context.Context, opts Options) *Service {
	opts.Attempts = cmp.Or(opts.Attempts, defaultAttempts)
	opts.RunningAfter = cmp.Or(opts.RunningAfter, time.Second)
	opts.PollInterval = cmp.Or(opts.PollInterval, 2*time.Second)
	opts.Retention = cmp.Or(opts.Retention, 24*time.Hour)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Metrics == nil {
		opts.Metrics = NewMetrics()
	}
	s := &Service{
		opts: opts, log: opts.Log, now: opts.Now, active: make(chan struct{}, maxActive),
		working: map[Ticket]*activeCall{}, waiters: map[Ticket][]chan struct{}{},
		waits: waits{most: maxWaits, mostOfKey: maxKeyWaits, byKey: map[string]int{}},
	}
	s.running, s.cut = context.WithCancelCause(ctx)
	s.taking, s.stop = context.WithCancel(s.running)
	s.unsub = []func(){
		opts.Queue.OnSignal(signalEnded, s.onEnded),
		opts.Queue.OnSignal(signalCancel, s.onCancel),
	}
	return s
}

// Run takes calls off the queue, a line an algorithm, until Stop.
func (s *Service) Run() {
	lanes := map[string]context.CancelFunc{}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		served := map[string]bool{}
		for _, a := range s.opts.Algorithms() {
			served[a.VanityURL] = true
			if lanes[a.VanityURL] == nil {
				ctx, end := context.WithCancel(s.taking)
				lanes[a.VanityURL] = end
				s.lanes.Go(func() { s.lane(ctx, a.VanityURL) })
			}
		}
		for vanityURL, end := range lanes {
			if !served[vanityURL] {
				end()
				delete(lanes, vanityURL)
			}
		}
		select {
		case <-s.taking.Done():
			for _, end := range lanes {
				end()
			}
			s.lanes.Wait()
			return
		case <-look.C:
		}
	}
}

// Stop takes no new calls off the queue from now on. Those in hand go on.
func (s *Service) Stop() { s.stop() }

// Drain stops, waits for the calls in hand until ctx ends, and then cuts them
// off: they go back to the queue.
func (s *Service) Drain(ctx context.Context) {
	s.stop()
	done := make(chan struct{})
	go func() {
		s.lanes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.log.Warn("durable calls go back to the queue: the drain's time is over", "calls", len(s.active))
	}
	s.cut(ErrStopping)
	<-done
	for _, end := range s.unsub {
		end()
	}
}

// Signals between engines, each with a ticket. They are hints: what they tell is
// in the records too.
const (
	signalEnded  = "async.ended"
	signalCancel = "async.cancel"
)

// onEnded wakes whoever waits for a call.
func (s *Service) onEnded(data []byte) {
	ticket, ok := parseTicket(string(data))
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, woken := range s.waiters[ticket] {
		close(woken)
	}
	delete(s.waiters, ticket)
}

// onCancel cuts a call off that runs here.
func (s *Service) onCancel(data []byte) {
	ticket, ok := parseTicket(string(data))
	if !ok {
		return
	}
	if w := s.isActive(ticket); w != nil {
		w.cut(ErrCancelled)
	}
}

func (s *Service) isActive(t Ticket) *activeCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.working[t]
}

// wait returns a channel that is closed once a call has ended, or perhaps
// before; forget ends the wait.
func (s *Service) wait(t Ticket) (ended <-chan struct{}, forget func()) {
	woken := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiters[t] = append(s.waiters[t], woken)
	return woken, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		left := s.waiters[t]
		for i, w := range left {
			if w == woken {
				left = append(left[:i:i], left[i+1:]...)
				break
			}
		}
		if s.waiters[t] = left; len(left) == 0 {
			delete(s.waiters, t)
		}
	}
}
