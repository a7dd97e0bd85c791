package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Options are what a service is made with; all are required.
type Options struct {
	Durable *durable.Service
	Launch  func() string // the launch's ID, which backups have
	Log     *slog.Logger
	Now     func() time.Time
}

// Service looks after what a durable service has open. Make it with New.
type Service struct {
	Options
	status atomic.Pointer[operate.Status] // as last seen, for metrics; nil without a queue
	posts  atomic.Uint64                  // callbacks that wait, as last seen
	dead   atomic.Pointer[deadCount]
	slow   atomic.Pointer[slowLook] // nil without a queue
}

// New returns a service that has seen nothing before Run.
func New(o Options) *Service { return &Service{Options: o} }

// Handler returns what answers an operator who knows the launch's token.
func (s *Service) Handler(token string) http.Handler {
	return operate.Handler(operate.Options{
		Token: token, Log: s.Log, Now: s.Now, Launch: s.Launch,
		Starting: func() bool { return s.Durable.Settings() != nil },
		Queue: func() operate.Queue {
			if d := s.Durable.Session(); d != nil {
				return view{s, d}
			}
			return nil
		},
		DeadLetters: func() operate.DeadLetterStore {
			if d := s.Durable.Session(); d != nil {
				return deadLetters{s, d}
			}
			return nil
		},
	})
}

// lookEvery is how often the queue is looked at, unasked; slowEvery how often at
// what takes a question for each schedule and algorithm; waitEvery how often
// whether there is one.
const (
	lookEvery = 5 * time.Second
	slowEvery = 30 * time.Second
	waitEvery = time.Second
)

// Run looks at the queue for metrics, and keeps outside of it how much it has,
// until ctx ends.
func (s *Service) Run(ctx context.Context) {
	said := ""
	for last := s.Durable.Session(); ; {
		pause := lookEvery
		d := s.Durable.Session()
		if d != last {
			s.posts.Store(0)
		}
		if last = d; d != nil {
			err := s.look(ctx, d)
			switch {
			case err == nil || errors.Is(err, queue.ErrConflict) || errors.Is(err, queue.ErrUnavailable) || ctx.Err() != nil:
				said = ""
			case said != err.Error():
				said = err.Error()
				s.Log.Warn("how many calls the queue holds cannot be noted: were it lost now, the number that is told would be an older one", "error", err)
			}
		} else {
			s.status.Store(nil)
			s.slow.Store(nil)
			pause = waitEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// look looks at the queue once. One of several engines is the first to note
// outside of it how much it has.
func (s *Service) look(ctx context.Context, d *durable.Session) error {
	ctx, cancel := context.WithTimeout(ctx, lookEvery)
	defer cancel()
	status := view{s, d}.Status(ctx)
	s.status.Store(&status)
	if n, err := callback.Pending(ctx, d.Queue); err == nil {
		s.posts.Store(n)
	}
	s.lookSlowly(ctx, d)
	return d.Queue.Observe(ctx)
}
