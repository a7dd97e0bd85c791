package engine

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
	"github.com/constellation-serving/constellation/internal/satellite/queue/marker"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
	"github.com/constellation-serving/constellation/internal/satellite/schedule"
)

// durable is what an engine has while the satellite takes durable calls.
type durable struct {
	settings config.QueueSettings
	node     *node.Node // nil where the nodes have pods of their own
	queue    *queue.Queue
	calls    *async.Service
	batches  *batch.Service
	times    *schedule.Service
	secret   []byte
	post     context.CancelFunc // ends the taking of callbacks and batches, and schedules
	running  sync.WaitGroup     // what takes calls and callbacks off the queue
	seen     seen
}

// queueRetry is how often it is tried to open the queue, and looked whether it is
// to be another one.
const queueRetry = time.Second

// queueSettings returns which queue there is to be; nil is none. A folder on the
// command line is a queue where routes.json says nothing of one.
func (e *Engine) queueSettings() *config.QueueSettings {
	settings := e.table.Load().Queue
	switch {
	case settings.On():
		return settings
	case settings == nil && e.opts.QueueDir != "":
		own := config.QueueSettings{Mode: config.QueueEdge}.WithDefaults()
		return &own
	}
	return nil
}

// keepQueue opens the queue that routes.json asks for, and another one when it
// asks for another, until ctx ends.
func (e *Engine) keepQueue(ctx context.Context) {
	problem := ""
	for {
		if err := e.followQueue(ctx); err != nil && err.Error() != problem && ctx.Err() == nil {
			problem = err.Error()
			e.log.Error("the queue cannot be opened: calls with output=void are refused until it is", "error", err)
		} else if err == nil {
			problem = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(queueRetry):
		}
	}
}

func (e *Engine) followQueue(ctx context.Context) error {
	want, have := e.queueSettings(), e.durable.Load()
	switch {
	case e.draining.Load():
		return nil
	case want == nil && have == nil, want != nil && have != nil && reflect.DeepEqual(*want, have.settings):
		return nil
	case have != nil:
		e.log.Info("the queue's settings changed: it is opened anew")
		e.durable.Store(nil)
		closing, cancel := context.WithTimeout(ctx, e.opts.DrainTimeout)
		defer cancel()
		have.drain(closing)
		have.close(closing)
	}
	if want == nil {
		return nil
	}
	next, err := e.openQueue(ctx, *want)
	if err != nil {
		return err
	}
	e.durable.Store(next)
	return nil
}

// openQueue opens the queue and begins to take calls off it.
func (e *Engine) openQueue(ctx context.Context, settings config.QueueSettings) (*durable, error) {
	secret, err := e.queueSecret()
	if err != nil {
		return nil, err
	}
	d := &durable{settings: settings, secret: secret, seen: seen{opened: time.Now()}}
	opts := queue.Options{
		Secret: secret, Replicas: settings.Replicas, Keep: settings.Keep(), Size: settings.SizeBytes,
		Servers: settings.Servers, Log: e.log, Now: e.now,
	}
	if e.watcher != nil {
		cluster := e.watcher.Cluster()
		if opts.Marker, err = marker.New(cluster.Config, cluster.Namespace, config.QueueState); err != nil {
			return nil, err
		}
	}
	if settings.Mode == config.QueueEdge {
		if e.opts.QueueDir == "" {
			return nil, errors.New("routes.json asks for a queue in this engine: --queue-dir says where it is stored")
		}
		d.node, err = node.Start(ctx, node.Options{Name: "queue-0", Dir: e.opts.QueueDir, Size: settings.SizeBytes, Secret: secret, Log: e.log})
		if err != nil {
			return nil, err
		}
		opts.Node, opts.Servers = d.node, nil
	}
	if d.queue, err = queue.Connect(ctx, opts); err != nil {
		d.close(ctx)
		return nil, err
	}
	d.calls = async.New(e.background, async.Options{
		Queue: d.queue, Runner: runner{e}, IDs: async.NewIDCodec(secret), Algorithms: e.served,
		Attempts: e.opts.durableAttempts, Retention: settings.Keep(), Metrics: e.counts, Log: e.log, Now: e.now, OnEnded: d.callBack,
	})
	sender := callback.New(callback.Options{
		Queue: d.queue, Fetch: d.fetch, Secret: secret, Outcomes: e.callbacks, Log: e.log, Now: e.now,
		Allow: func() []string { return e.table.Load().Callbacks.Allow },
	})
	posting, stop := context.WithCancel(e.background)
	d.post = stop
	d.batches = e.newBatches(d.queue, settings)
	d.times = e.newSchedules(d)
	d.running.Go(d.calls.Run)
	d.running.Go(func() { d.batches.Run(posting) })
	d.running.Go(func() { d.times.Run(posting) })
	d.queue.OnSignal(drainSignal, func([]byte) { go d.readDrain(posting) })
	d.running.Go(func() { sender.Run(posting) })
	return d, nil
}

// served returns the algorithms that are served now.
func (e *Engine) served() []async.Algorithm {
	t := e.table.Load()
	list := make([]async.Algorithm, len(t.Routes))
	for i, r := range t.Routes {
		list[i] = async.Algorithm{VanityURL: r.VanityURL, Ref: r.Algorithm}
	}
	return list
}

// queueSecret returns what the queue's nodes and request ids are sealed with: the
// launch's token, or without one, on a laptop, what is made once beside the queue.
func (e *Engine) queueSecret() ([]byte, error) {
	token, err := os.ReadFile(cmp.Or(e.opts.TokenFile, filepath.Join(e.opts.Dir, tokenFile)))
	if err == nil {
		return bytes.TrimSpace(token), nil
	}
	if !os.IsNotExist(err) || e.opts.TokenFile != "" || e.opts.QueueDir == "" {
		return nil, fmt.Errorf("the queue needs the launch's token: %w", err)
	}
	return ownSecret(e.opts.QueueDir)
}

// stop takes no new calls off the queue.
func (d *durable) stop() {
	if d != nil {
		d.calls.Stop()
		d.post()
	}
}

// callBack stores that a call's result is to be posted.
func (d *durable) callBack(ctx context.Context, c async.EndedCall) error {
	return callback.Enqueue(ctx, d.queue, callback.Message{Ticket: c.Ticket, RequestID: c.RequestID, KeyID: c.KeyID, URL: c.URL})
}

// fetch returns the result that is to be posted.
func (d *durable) fetch(ctx context.Context, ticket string) (callback.Result, error) {
	kept, ok, err := d.calls.Result(ctx, ticket)
	if err == nil && !ok {
		err = callback.ErrGone
	}
	return callback.Result{State: string(kept.State), ContentType: kept.ContentType, Body: kept.Body}, err
}

// drain takes no new calls, and waits for those that run until ctx ends.
func (d *durable) drain(ctx context.Context) {
	if d != nil {
		d.stop()
		d.calls.Drain(ctx)
		d.running.Wait()
	}
}

func (d *durable) close(ctx context.Context) {
	if d == nil {
		return
	}
	if d.queue != nil {
		d.queue.Close()
	}
	if d.node != nil {
		_ = d.node.Close(ctx)
	}
}

// accept stores a call whose caller does not wait, and answers with its id.
func (e *Engine) accept(r *http.Request, c *call, body *memory.Buffer) (protocol.Reply, *protocol.Failure) {
	d := e.durable.Load()
	if d == nil {
		return protocol.Reply{}, noQueue()
	}
	if f := d.drained(r.Context()); f != nil {
		return protocol.Reply{}, f
	}
	c.accepted = true
	id, f := d.calls.Accept(r.Context(), async.Submission{
		Input: async.Input{
			VanityURL: c.route.VanityURL, KeyID: c.keyID, Query: r.URL.RawQuery,
			ContentType: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"),
			Traceparent: c.Trace.Parent, Tracestate: c.Trace.State, Body: body.B,
		},
		Algorithm: c.route.Algorithm, IdempotencyKey: r.Header.Get("Idempotency-Key"), Callback: cmp.Or(r.Header.Get("X-Callback-Url"), c.callback),
	})
	if f != nil {
		return protocol.Reply{}, f
	}
	c.ID = id
	return protocol.VoidReply(id), nil
}

// noQueue returns the failure of a durable call while the queue is not open.
func noQueue() *protocol.Failure {
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 2,
		Message: "the satellite's queue is not available: the call was not stored; try again later",
	}
}

// callbackSecretPath is where a key's owner reads the secret that its callbacks
// are signed with.
const callbackSecretPath = async.Path + "callback-secret"

// serveAsync answers what became of durable calls.
func (e *Engine) serveAsync(w http.ResponseWriter, r *http.Request) {
	reply, f := e.askAsync(r)
	if f != nil {
		reply = protocol.ErrorReply(f)
	}
	w.Header()["Cache-Control"] = []string{"no-store"}
	_ = e.write(w, nil, reply)
}

func (e *Engine) askAsync(r *http.Request) (protocol.Reply, *protocol.Failure) {
	key, f := e.authorize([]byte(r.Header.Get("Authorization")), remote(r.RemoteAddr))
	if f != nil {
		return protocol.Reply{}, f
	}
	d := e.durable.Load()
	switch {
	case d != nil && r.URL.Path == callbackSecretPath:
		body, err := json.Marshal(map[string]string{"secret": callback.FormatSecret(callback.SigningKey(d.secret, key.ID))})
		if err != nil || r.Method != http.MethodGet {
			return protocol.Reply{}, protocol.Refuse(http.StatusMethodNotAllowed, "the secret is read with GET")
		}
		return protocol.Reply{Status: http.StatusOK, ContentType: protocol.MediaJSON, Nosniff: true, Parts: [3][]byte{body}}, nil
	case d != nil:
		return d.calls.Answer(r, key.May), nil
	case e.queueSettings() == nil:
		return protocol.Reply{}, protocol.Refuse(http.StatusNotFound, "this satellite has no queue, and so no asynchronous calls")
	}
	f = noQueue()
	f.Message = "the satellite's queue is not available; ask again later"
	return protocol.Reply{}, f
}

// secretFile holds the secret of a queue without a launch.
const secretFile = "secret"

// ownSecret returns the secret in a queue's folder, and makes it when there is
// none.
func ownSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, secretFile)
	secret, err := os.ReadFile(path)
	if err == nil && len(secret) > 0 {
		return secret, nil
	}
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("read the queue's secret: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the queue's folder: %w", err)
	}
	secret = []byte(rand.Text())
	if err := os.WriteFile(path+".new", secret, 0o600); err != nil {
		return nil, fmt.Errorf("keep the queue's secret: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return nil, fmt.Errorf("keep the queue's secret: %w", err)
	}
	return secret, nil
}
