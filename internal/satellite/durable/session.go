package durable

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/marker"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
	"github.com/constellation-serving/constellation/internal/satellite/schedule"
)

// Session is a queue that is open, and what runs off it.
type Session struct {
	Settings config.QueueSettings
	Opened   time.Time
	Queue    *queue.Queue
	Calls    *async.Service
	Times    *schedule.Service

	node    *node.Node // nil where the nodes have pods of their own
	batches *batch.Service
	secret  []byte
	post    context.CancelFunc // ends the taking of callbacks and batches, and schedules
	running sync.WaitGroup     // what takes calls and callbacks off the queue
	drains  atomic.Int32       // drainUnknown, drainOff or drainOn
}

// open opens the queue and begins to take calls off it.
func (s *Service) open(ctx context.Context, settings config.QueueSettings) (*Session, error) {
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	d := &Session{Settings: settings, Opened: time.Now(), secret: secret}
	opts := queue.Options{
		Secret: secret, Replicas: settings.Replicas, Keep: settings.Keep(), Size: settings.SizeBytes,
		Servers: settings.Servers, Log: s.Log, Now: s.Now,
	}
	if cluster := s.Cluster(); cluster != nil {
		if opts.Marker, err = marker.New(cluster.Config, cluster.Namespace, config.QueueState); err != nil {
			return nil, err
		}
	}
	if settings.Mode == config.QueueEdge {
		if s.Dir == "" {
			return nil, errors.New("routes.json asks for a queue in this engine: --queue-dir says where it is stored")
		}
		d.node, err = node.Start(ctx, node.Options{Name: "queue-0", Dir: s.Dir, Size: settings.SizeBytes, Secret: secret, Log: s.Log})
		if err != nil {
			return nil, err
		}
		opts.Node, opts.Servers = d.node, nil
	}
	if d.Queue, err = queue.Connect(ctx, opts); err != nil {
		d.close(ctx)
		return nil, err
	}
	s.run(d)
	return d, nil
}

// run begins to take off the queue what is in it.
func (s *Service) run(d *Session) {
	d.Calls = async.New(s.background, async.Options{
		Queue: d.Queue, Runner: s.Runner, IDs: async.NewIDCodec(d.secret), Algorithms: s.Served,
		Attempts: s.Attempts, RetryTimeouts: d.Settings.RetryTimeouts, Retention: d.Settings.Keep(), Metrics: s.counts, Log: s.Log, Now: s.Now, OnEnded: d.callBack,
	})
	sender := callback.New(callback.Options{
		Queue: d.Queue, Fetch: d.fetch, Secret: d.secret, Outcomes: s.callbacks, Log: s.Log, Now: s.Now,
		Allow: func() []string { return s.Table().Callbacks.Allow },
	})
	posting, stop := context.WithCancel(s.background)
	d.post = stop
	d.batches = s.newBatches(d)
	d.Times = s.newSchedules(d)
	d.running.Go(d.Calls.Run)
	d.running.Go(func() { d.batches.Run(posting) })
	d.running.Go(func() { d.Times.Run(posting) })
	d.Queue.OnSignal(drainSignal, func([]byte) { go d.readDrain(posting) })
	d.running.Go(func() { sender.Run(posting) })
}

// Served returns the algorithms that are served now.
func (s *Service) Served() []async.Algorithm {
	t := s.Table()
	list := make([]async.Algorithm, len(t.Routes))
	for i, r := range t.Routes {
		list[i] = async.Algorithm{VanityURL: r.VanityURL, Ref: r.Algorithm}
	}
	return list
}

// callBack stores that a call's result is to be posted.
func (d *Session) callBack(ctx context.Context, c async.EndedCall) error {
	return callback.Enqueue(ctx, d.Queue, callback.Message{Ticket: c.Ticket, RequestID: c.RequestID, KeyID: c.KeyID, URL: c.URL})
}

// fetch returns the result that is to be posted.
func (d *Session) fetch(ctx context.Context, ticket string) (callback.Result, error) {
	kept, ok, err := d.Calls.Result(ctx, ticket)
	if err == nil && !ok {
		err = callback.ErrGone
	}
	return callback.Result{State: string(kept.State), ContentType: kept.ContentType, Body: kept.Body}, err
}

// stop takes no new calls off the queue.
func (d *Session) stop() {
	if d != nil {
		d.Calls.Stop()
		d.post()
	}
}

// drain takes no new calls, and waits for those that run until ctx ends.
func (d *Session) drain(ctx context.Context) {
	if d != nil {
		d.stop()
		d.Calls.Drain(ctx)
		d.running.Wait()
	}
}

func (d *Session) close(ctx context.Context) {
	if d == nil {
		return
	}
	if d.Queue != nil {
		d.Queue.Close()
	}
	if d.node != nil {
		_ = d.node.Close(ctx)
	}
}
