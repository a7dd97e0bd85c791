package batch

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Options configures a Service. Queue, Runner, Spend and Algorithms are required.
type Options struct {
	Queue  *queue.Queue
	Runner async.Runner
	// Spend counts a call of an algorithm against its key's rate. It returns how
	// long to wait when the rate allows no call now, and an error when the key may
	// not call the algorithm any more.
	Spend func(keyID, vanityURL string) (wait time.Duration, err error)
	// Algorithms returns the vanity URLs that the satellite serves now.
	Algorithms func() []string

	// Retention is how long a batch is kept. The default is a day.
	Retention time.Duration
	// MaxPending bounds the bytes of a batch that are stored and have not run. The
	// default is 64 MiB.
	MaxPending int64
	// StallTimeout bounds how long an upload waits for room, and IdleTimeout how long
	// it waits for its client. The defaults are one minute and five.
	StallTimeout, IdleTimeout time.Duration
	// DrainTimeout bounds how long Run waits for calls in flight once it is stopped.
	DrainTimeout time.Duration

	Lines *prometheus.CounterVec // as of NewLines; nil counts nothing
	Log   *slog.Logger
	Now   func() time.Time
}

// Service accepts batches and runs them.
type Service struct {
	opts  Options
	queue *queue.Queue
	log   *slog.Logger
	now   func() time.Time
	known cache

	mu      sync.Mutex
	waiters map[string]map[chan struct{}]bool // for changes of a batch
	works   map[*activeChunk]bool             // chunks that are being worked on
	tallies map[string]*tally                 // counts that are being written
}

const (
	signalChange = "batch.news"   // something of a batch is done
	signalCancel = "batch.cancel" // a batch was cancelled
)

// New returns a service, which runs nothing until Run.
func New(o Options) *Service {
	o.Retention = cmp.Or(o.Retention, 24*time.Hour)
	o.MaxPending = cmp.Or(o.MaxPending, 64<<20)
	o.StallTimeout = cmp.Or(o.StallTimeout, time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 5*time.Minute)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Service{
		opts: o, queue: o.Queue, log: o.Log, now: o.Now,
		waiters: map[string]map[chan struct{}]bool{}, works: map[*activeChunk]bool{}, tallies: map[string]*tally{},
	}
}

// Run works on the batches of all algorithms until ctx ends, and finishes the
// calls in flight within Options.DrainTimeout.
func (s *Service) Run(ctx context.Context) {
	defer s.queue.OnSignal(signalChange, func(id []byte) { s.notifyChange(string(id)) })()
	defer s.queue.OnSignal(signalCancel, func(id []byte) { s.cancelled(string(id)) })()
	cut, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { s.refresh(ctx) })
	running := map[string]context.CancelFunc{}
	defer func() {
		for _, stop := range running {
			stop()
		}
		time.AfterFunc(s.opts.DrainTimeout, func() { end(async.ErrStopping) })
	}()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		served := map[string]bool{}
		for _, vanityURL := range s.opts.Algorithms() {
			if served[vanityURL] = true; running[vanityURL] == nil {
				own, stop := context.WithCancel(ctx)
				running[vanityURL] = stop
				all.Go(func() { newWorker(cut, s, vanityURL).run(own) })
			}
		}
		for vanityURL, stop := range running {
			if !served[vanityURL] {
				stop()
				delete(running, vanityURL)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// refresh keeps the records of batches that are not done from going, since a
// replica may be away for longer than Keep.
func (s *Service) refresh(ctx context.Context) {
	for sleep(ctx, s.opts.Retention/8) == nil {
		ids, err := s.queue.Keys(ctx, queue.BucketBatch, "", maxRefreshed)
		if err != nil {
			s.log.Warn("batches are not kept from going yet", "error", err)
			continue
		}
		for _, id := range ids {
			_, err := s.change(ctx, id, func(r *record) error {
				waits := !r.ended() && r.Counted < r.Stored.Chunks
				if !waits || s.now().Sub(r.TouchedAt) < s.opts.Retention/4 {
					return errUnchanged
				}
				return nil
			})
			if err != nil && ctx.Err() == nil {
				s.log.Warn("a batch is not kept from going yet", "batch_id", id, "error", err)
			}
		}
	}
}

const maxRefreshed = 100_000

// await returns a channel that has something when there is news of a batch.
func (s *Service) await(id string) (news chan struct{}, stop func()) {
	news = make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiters[id] == nil {
		s.waiters[id] = map[chan struct{}]bool{}
	}
	s.waiters[id][news] = true
	return news, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(s.waiters[id], news); len(s.waiters[id]) == 0 {
			delete(s.waiters, id)
		}
	}
}

func (s *Service) notifyChange(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for news := range s.waiters[id] {
		select {
		case news <- struct{}{}:
		default:
		}
	}
}

// cancelled ends the calls of a batch.
func (s *Service) cancelled(id string) {
	s.known.forget(id)
	s.notifyChange(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.works {
		if w.chunk.Batch == id {
			w.cancel(async.ErrCancelled)
		}
	}
}

// cache has the records of the batches that are being worked on, so that not
// each chunk asks for its own.
type cache struct {
	mu      sync.Mutex
	records map[string]cached
}

type cached struct {
	*record
	at time.Time
}

const (
	cacheLife = time.Second
	maxCached = 256
)

// record returns a batch's record as it was a moment ago.
func (s *Service) record(ctx context.Context, id string) (*record, error) {
	k, now := &s.known, time.Now()
	k.mu.Lock()
	c, ok := k.records[id]
	k.mu.Unlock()
	if ok && now.Sub(c.at) < cacheLife {
		return c.record, nil
	}
	r, _, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.records == nil || len(k.records) >= maxCached {
		k.records = map[string]cached{}
	}
	k.records[id] = cached{r, now}
	return r, nil
}

func (c *cache) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.records, id)
}
