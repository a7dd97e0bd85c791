package engine

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// A batch may have this part of the queue's disk filled with lines that have not
// run, within bounds; what is beyond waits at its client.
const (
	aheadPart = 128
	minAhead  = 4 << 20
	maxAhead  = 64 << 20
)

func (e *Engine) newBatches(q *queue.Queue, settings config.QueueSettings) *batch.Service {
	return batch.New(batch.Options{
		Queue: q, Runner: runner{e}, Spend: e.spendLater, Algorithms: e.servedURLs,
		Retention: settings.Keep(), MaxPending: min(max(settings.SizeBytes/aheadPart, minAhead), maxAhead),
		DrainTimeout: e.opts.DrainTimeout, Log: e.log, Now: e.now,
	})
}

// servedURLs returns the vanity URLs that are served now.
func (e *Engine) servedURLs() []string {
	t := e.table.Load()
	list := make([]string, len(t.Routes))
	for i, r := range t.Routes {
		list[i] = r.VanityURL
	}
	return list
}

// spendLater counts a call that was accepted with a key and runs now. It returns
// how long to wait when the key's rate allows none, and an error when the key may
// not make the call any more.
func (e *Engine) spendLater(keyID, vanityURL string) (time.Duration, error) {
	now := e.now()
	key, err := e.keys.Of(keyID, now)
	if err != nil {
		return 0, err
	}
	if !key.May(vanityURL) {
		return 0, fmt.Errorf("the API key %q may not call %s any more", key.Name, vanityURL)
	}
	err = key.Spend(now)
	if refusal, ok := errors.AsType[*keyring.Refusal](err); ok {
		return refusal.RetryAfter, nil
	}
	if key.Limited() && !keyring.IsOwn(key.Key) {
		e.mesh.NotifySpent(key.ID)
	}
	return 0, nil
}

// serveBatch takes batches, and answers what is asked of them. rest is what
// stands after batch.Path: a vanity URL, or a batch's ID and more.
func (e *Engine) serveBatch(w http.ResponseWriter, r *http.Request, rest string) {
	w.Header()["Cache-Control"] = []string{"no-store"}
	f := e.askBatch(w, r, rest)
	if f == nil {
		return
	}
	if f.Cause != nil {
		e.log.Info("a batch was refused", "path", r.URL.Path, "error", f)
	}
	discard(w, r)
	_ = e.write(w, nil, protocol.ErrorReply(f))
}

func (e *Engine) askBatch(w http.ResponseWriter, r *http.Request, rest string) *protocol.Failure {
	key, f := e.authorize([]byte(r.Header.Get("Authorization")), remote(r.RemoteAddr))
	if f != nil {
		return f
	}
	d := e.durable.Load()
	switch {
	case d != nil:
	case e.queueSettings() == nil:
		return protocol.Refuse(http.StatusNotFound, "this satellite has no queue, and so no batches")
	default:
		f := noQueue()
		f.Message = "the satellite's queue is not available; try again later"
		return f
	}
	caller := batch.Caller{KeyID: key.ID, May: key.May}
	if r.Method != http.MethodPost {
		return d.batches.Serve(w, r, caller, rest)
	}
	route, f := e.table.Load().Called(&key, rest)
	if f == nil {
		f = d.drained(r.Context())
	}
	if f != nil {
		return f
	}
	if f := d.drained(r.Context()); f != nil {
		return f
	}
	return d.batches.ServeUpload(w, r, caller, route.VanityURL)
}
