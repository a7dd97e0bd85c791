package private

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// supervisor keeps one server running: when it dies it is started again, with
// growing pauses.
type supervisor struct {
	cluster *cluster
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}

	mu      sync.Mutex
	current *process
	down    error // why nobody can connect, nil while running
}

// start starts PostgreSQL under the lock and tells waiting commands.
func start(ctx context.Context, o Options, l *lock) (*Server, error) {
	c, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	p, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	// The supervisor's life is not that of the call which started it.
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &supervisor{cluster: c, log: o.Log, cancel: cancel, done: make(chan struct{}), current: p}
	go s.run(life)
	if err := l.announce(c.url()); err != nil {
		return nil, errors.Join(err, s.stop(ctx))
	}
	return &Server{url: c.url(), lock: l, sup: s}, nil
}

// begin starts the server and waits for it. It tries a few times, since the
// backends of a killed server may hold its memory a moment longer.
func (c *cluster) begin(ctx context.Context) (*process, error) {
	var last error
	for attempt := range 4 {
		if err := pause(ctx, time.Duration(attempt)*250*time.Millisecond); err != nil {
			return nil, errors.Join(last, err)
		}
		if err := c.clearOld(ctx); err != nil {
			return nil, err
		}
		p, err := c.launch()
		if err != nil {
			return nil, err
		}
		if err = p.ready(ctx, c.url(), c.log); err == nil {
			return p, nil
		}
		select {
		case <-p.exited:
			last = err
		default: // not in time: do not leave it behind
			stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			err = errors.Join(err, p.end(stopCtx))
			cancel()
			return nil, err
		}
	}
	c.clearSocket()
	return nil, last
}

// run restarts the server whenever it ends, until life ends.
func (s *supervisor) run(life context.Context) {
	defer close(s.done)
	delay := 100 * time.Millisecond
	for {
		begun := time.Now()
		if p := s.process(); p != nil {
			select {
			case <-life.Done():
				return
			case <-p.exited:
			}
			s.log.Error("PostgreSQL ended unexpectedly and is started again", "cause", p.err, "said", p.output.last())
			s.set(nil, constellation.Wrap(p.err, constellation.KindUnavailable, "PostgreSQL ended unexpectedly and is being restarted"))
		}
		if time.Since(begun) > time.Minute {
			delay = 100 * time.Millisecond
		}
		if pause(life, delay) != nil {
			return
		}
		delay = min(2*delay, 10*time.Second)
		p, err := s.cluster.begin(life)
		if err != nil {
			if life.Err() == nil {
				s.log.Error("PostgreSQL cannot be restarted; trying again", "err", err, "in", delay)
				s.set(nil, err)
			}
			continue
		}
		s.log.Info("PostgreSQL runs again")
		s.set(p, nil)
	}
}

func (s *supervisor) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *supervisor) set(p *process, down error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current, s.down = p, down
}

func (s *supervisor) check() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

// stop ends the supervision, then the server.
func (s *supervisor) stop(ctx context.Context) error {
	s.cancel()
	<-s.done
	defer s.cluster.clearSocket()
	p := s.process()
	if p == nil {
		return nil
	}
	select {
	case <-p.exited:
		return nil
	default:
	}
	return p.end(ctx)
}
