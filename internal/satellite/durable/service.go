package durable

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

// Options are what a service is made with. All are required but those that say
// what their zero value is.
type Options struct {
	Dir       string // where this engine's own queue is stored; "" has none
	TokenFile string // the launch's token, which seals what is stored
	OwnSecret bool   // without a token file, one that is made in Dir does

	Table   func() *routing.Table
	Cluster func() *discovery.Cluster // where the queue is remembered; nil returns are nowhere
	Runner  async.Runner
	// Spend counts a call with a key that was accepted before, as [batch.Options]
	// has it.
	Spend   func(keyID, vanityURL string) (wait time.Duration, err error)
	Decides func() bool // reports whether this engine makes the calls of schedules

	Attempts     int // of a call that is worth another one; 0 is async's
	DrainTimeout time.Duration
	Log          *slog.Logger
	Now          func() time.Time
}

// Service keeps the satellite's queue open. Make it with New.
type Service struct {
	Options
	background context.Context // ends what runs off the queue
	session    atomic.Pointer[Session]
	stopped    atomic.Bool
	counts     *async.Metrics
	callbacks  *prometheus.CounterVec
	lines      *prometheus.CounterVec // of batches
}

// New returns a service that has nothing open before Run. What it runs ends with
// background.
func New(background context.Context, o Options) *Service {
	return &Service{Options: o, background: background, counts: async.NewMetrics(), callbacks: callback.NewOutcomes(), lines: batch.NewLines()}
}

// Collectors are the metrics of what runs off the queue.
func (s *Service) Collectors() []prometheus.Collector {
	return append(s.counts.Collectors(), s.callbacks, s.lines)
}

// Session returns what is open; nil while durable calls are not taken.
func (s *Service) Session() *Session { return s.session.Load() }

// Settings returns which queue there is to be; nil is none. A folder on the
// command line is a queue where routes.json says nothing of one.
func (s *Service) Settings() *config.QueueSettings {
	settings := s.Table().Queue
	switch {
	case settings.On():
		return settings
	case settings == nil && s.Dir != "":
		own := config.QueueSettings{Mode: config.QueueEdge}.WithDefaults()
		return &own
	}
	return nil
}

// Reached returns whether the queue that there is to be is reached, as
// config.QueueHeader says it; "" when there is to be none. A queue that is full is
// reached: it takes no calls, and waiting does not help.
func (s *Service) Reached() string {
	switch d := s.Session(); {
	case s.Settings() == nil:
		return ""
	case d == nil:
		return config.QueueOpening
	default:
		if err := d.Queue.Ready(); err != nil && !errors.Is(err, queue.ErrFull) {
			return config.QueueOpening
		}
		return config.QueueReached
	}
}

// retryEvery is how often it is tried to open the queue, and looked whether it is
// to be another one.
const retryEvery = time.Second

// Run opens the queue that routes.json asks for, and another one when it asks for
// another, until ctx ends.
func (s *Service) Run(ctx context.Context) {
	problem := ""
	for {
		if err := s.follow(ctx); err != nil && err.Error() != problem && ctx.Err() == nil {
			problem = err.Error()
			s.Log.Error("the queue cannot be opened: calls with output=void are refused until it is", "error", err)
		} else if err == nil {
			problem = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryEvery):
		}
	}
}

func (s *Service) follow(ctx context.Context) error {
	want, have := s.Settings(), s.Session()
	switch {
	case s.stopped.Load():
		return nil
	case want == nil && have == nil, want != nil && have != nil && reflect.DeepEqual(*want, have.Settings):
		return nil
	case have != nil:
		s.Log.Info("the queue's settings changed: it is opened anew")
		s.session.Store(nil)
		closing, cancel := context.WithTimeout(ctx, s.DrainTimeout)
		defer cancel()
		have.drain(closing)
		have.close(closing)
	}
	if want == nil {
		return nil
	}
	next, err := s.open(ctx, *want)
	if err != nil {
		return err
	}
	s.session.Store(next)
	return nil
}

// Stop takes no new calls off the queue, and opens none any more.
func (s *Service) Stop() {
	s.stopped.Store(true)
	s.Session().stop()
}

// Drain waits, after Stop, for the calls that run until ctx ends.
func (s *Service) Drain(ctx context.Context) { s.Session().drain(ctx) }

// Close closes the queue, once Run has returned.
func (s *Service) Close(ctx context.Context) { s.Session().close(ctx) }
