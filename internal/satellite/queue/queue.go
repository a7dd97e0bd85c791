package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/constellation-serving/constellation/internal/satellite/queue/credentials"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

// Options say which queue to connect to, and how it is to be.
type Options struct {
	// Servers are the client addresses of the nodes; Node is one in this
	// process. One of both is given.
	Servers []string
	Node    *node.Node
	// Secret is the launch's token as it is in its file. A node in this process
	// needs none.
	Secret []byte
	// Replicas is how many nodes store each message: 3, or 1 where there is one node.
	Replicas int
	// Keep is how long records are kept. Zero is a day.
	Keep time.Duration
	// Size is that of each node's volume. Zero is node.DefaultSize.
	Size int64
	// Marker remembers the queue's incarnation outside of it. Nil remembers none.
	Marker Marker
	Log    *slog.Logger
	Now    func() time.Time
	// StoreTimeout bounds the wait for one thing to be stored, AskTimeout that
	// for one answer. Zero is two seconds and ten.
	StoreTimeout, AskTimeout time.Duration

	// behindFor is how long a stream that lacks messages may be catching up.
	// Zero is 20 seconds.
	behindFor time.Duration
}

// Queue is a connection to the queue. It lasts: it connects, and connects
// again, until it is closed.
type Queue struct {
	opts        Options
	credentials *credentials.Credentials // nil where the node is in this process
	conn        *nats.Conn
	js          jetstream.JetStream
	stop        context.CancelFunc
	ended       sync.WaitGroup
	last        atomic.Uint64
	tally       tally
	checks      chan struct{} // asks for a look at the streams
	nodes       nodeTable
	hints       hints
	unledSince  time.Time // by keep alone: when the node was first seen to reach no leader

	mu          sync.Mutex
	crowded     error         // why what becomes of new work has no room; nil when it has
	unsettled   error         // why the streams are not known to be right
	whenSettled chan struct{} // closed while unsettled is nil
	incarnation string
	behindSince time.Time // when the stream was first seen to lack messages
	marker      MarkerState
	consumers   map[string]bool // lines whose consumer is there
}

const (
	checkEvery = 5 * time.Second
	askTimeout = 10 * time.Second
	// settleTimeout bounds a question that is asked again anyway.
	settleTimeout = 3 * time.Second
)

var errConnecting = fmt.Errorf("%w: not connected yet", ErrUnavailable)

// Connect returns at once. It connects and makes the streams in the
// background: Ready says when it is so far.
func Connect(ctx context.Context, opts Options) (*Queue, error) {
	if (opts.Node == nil) == (len(opts.Servers) == 0) {
		return nil, errors.New("a queue is either servers or a node in this process")
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Size <= 0 {
		opts.Size = node.DefaultSize
	}
	if opts.Keep <= 0 {
		opts.Keep = 24 * time.Hour
	}
	if opts.AskTimeout == 0 {
		opts.AskTimeout = askTimeout
	}
	if opts.StoreTimeout == 0 {
		opts.StoreTimeout = storeTimeout
	}
	if opts.behindFor == 0 {
		opts.behindFor = behindFor
	}
	if opts.Replicas == 0 {
		opts.Replicas = 1
	}
	q := &Queue{opts: opts, checks: make(chan struct{}, 1), unsettled: errConnecting, whenSettled: make(chan struct{}), consumers: map[string]bool{}}
	var err error
	if opts.Node == nil {
		if q.credentials, err = credentials.Derive(opts.Secret); err != nil {
			return nil, err
		}
	}
	if q.conn, err = q.dial(); err != nil {
		return nil, fmt.Errorf("connect to the queue: %w", err)
	}
	if q.js, err = jetstream.New(q.conn, jetstream.WithDefaultTimeout(opts.AskTimeout)); err != nil {
		return nil, fmt.Errorf("connect to the queue: %w", err)
	}
	if err := node.OnAnnouncement(q.conn, q.nodes.heard); err != nil {
		return nil, fmt.Errorf("connect to the queue: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	q.stop = stop
	q.ended.Go(func() { q.keep(run) })
	q.ended.Go(func() { q.sweepForEver(run) })
	return q, nil
}

// dial makes the connection without waiting for it. Nothing that is stored
// while it is away is kept for later: the caller is told.
func (q *Queue) dial() (*nats.Conn, error) {
	o := nats.GetDefaultOptions()
	o.AllowReconnect, o.RetryOnFailedConnect, o.MaxReconnect = true, true, -1
	o.ReconnectWait, o.ReconnectJitter, o.ReconnectJitterTLS = 200*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond
	o.ReconnectBufSize = -1
	o.Timeout = 3 * time.Second
	o.PingInterval, o.MaxPingsOut = 5*time.Second, 2
	o.IgnoreAuthErrorAbort = true
	o.ConnectedCB = func(*nats.Conn) { q.check() }
	o.ReconnectedCB = func(*nats.Conn) { q.check() }
	o.DisconnectedErrCB = func(_ *nats.Conn, err error) {
		if err != nil {
			q.opts.Log.Warn("the queue's connection ended", "error", err)
		}
		q.unsettle(fmt.Errorf("%w: not connected", ErrUnavailable))
	}
	o.AsyncErrorCB = func(_ *nats.Conn, _ *nats.Subscription, err error) {
		q.opts.Log.Warn("the queue's connection", "error", err)
	}
	if q.opts.Node != nil {
		return q.opts.Node.Connect(o)
	}
	for _, s := range q.opts.Servers {
		o.Servers = append(o.Servers, "tls://"+s)
	}
	o.User, o.Password = q.credentials.Engine.User, q.credentials.Engine.Password
	o.Secure, o.TLSConfig = true, q.credentials.TLS()
	o.IgnoreDiscoveredServers = true
	// The first attempt would be waited for.
	o.CustomDialer = &lateDialer{ready: make(chan struct{})}
	conn, err := o.Connect()
	o.CustomDialer.(*lateDialer).open()
	return conn, err
}

// check asks for a look at the streams soon.
func (q *Queue) check() {
	select {
	case q.checks <- struct{}{}:
	default:
	}
}

// keep looks after the streams until ctx ends.
func (q *Queue) keep(ctx context.Context) {
	pause := 100 * time.Millisecond
	for {
		err := fmt.Errorf("%w: not connected", ErrUnavailable)
		if q.conn.IsConnected() {
			err = q.settle(ctx)
			q.leaveUnled(err)
		}
		q.unsettle(err)
		if err == nil {
			pause = checkEvery
		} else {
			pause = min(pause*2, time.Second)
			if ctx.Err() == nil {
				q.opts.Log.Debug("the queue is not ready", "error", err)
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-q.checks:
		case <-timer.C:
		}
		timer.Stop()
		if err == nil {
			pause = 100 * time.Millisecond
		}
	}
}

// leaveAfter is how long a node that does not reach a leader is asked again.
const leaveAfter = 5 * time.Second

// leaveUnled goes on to another node when the one that is connected has not
// reached a leader for a while: it may be cut off from the others, which are a
// majority.
func (q *Queue) leaveUnled(err error) {
	switch {
	case !errors.Is(err, errUnled) || len(q.opts.Servers) < 2:
		q.unledSince = time.Time{}
	case q.unledSince.IsZero():
		q.unledSince = time.Now()
	case time.Since(q.unledSince) >= leaveAfter:
		q.unledSince = time.Time{}
		q.opts.Log.Warn("the queue's node does not reach a leader: another is asked", "node", q.conn.ConnectedServerName())
		_ = q.conn.ForceReconnect() // it fails once the connection is closed
	}
}

func (q *Queue) unsettle(err error) {
	if err != nil && !errors.Is(err, ErrUnavailable) {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	was := q.unsettled
	q.unsettled = err
	switch {
	case err == nil && was != nil:
		close(q.whenSettled)
	case err != nil && was == nil:
		q.whenSettled = make(chan struct{})
	}
	if err != nil {
		clear(q.consumers)
	}
}

// AwaitReady waits until the streams are known to be right, for at most half the
// time that one message may take to be stored, and returns what Ready returns then.
func (q *Queue) AwaitReady(ctx context.Context) error {
	q.mu.Lock()
	settled := q.whenSettled
	q.mu.Unlock()
	late := time.NewTimer(q.opts.StoreTimeout / 2)
	defer late.Stop()
	select {
	case <-settled:
	case <-late.C:
	case <-ctx.Done():
	}
	return q.Ready()
}

// Ready returns nil when messages can be stored. Else it says why not.
func (q *Queue) Ready() error {
	// A disk without room is also why a node may not be among a majority.
	if err := q.nodes.room(); err != nil {
		return err
	}
	if err := q.settled(); err != nil {
		return err
	}
	return q.resultRoom()
}

// room returns ErrFull when there is too little of it for new work.
func (q *Queue) room() error {
	if err := q.resultRoom(); err != nil {
		return err
	}
	return q.nodes.room()
}

// resultRoom returns ErrFull when there is too little room for what becomes of work.
func (q *Queue) resultRoom() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.crowded
}

func (q *Queue) settled() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.unsettled
}

// Close ends the connection. What is delivered and not done comes back to
// others once its time is over.
func (q *Queue) Close() {
	q.stop()
	q.ended.Wait()
	q.conn.Close()
}

// ask sends a request to the servers and reads the answer into out.
func (q *Queue) ask(ctx context.Context, subject string, request, out any) error {
	data, err := json.Marshal(request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, q.opts.AskTimeout)
	defer cancel()
	reply, err := q.conn.RequestWithContext(ctx, subject, data)
	if err != nil {
		return asked(err)
	}
	var failed struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &failed); err != nil {
		return fmt.Errorf("read the queue's answer: %w", err)
	}
	if failed.Error != nil {
		return asked(failed.Error)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(reply.Data, out)
}
