package engine

import (
	"cmp"
	"net/http"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/discovery"
	"github.com/constellation-serving/constellation/internal/satellite/durable"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// newDurable returns what keeps the calls whose callers do not wait.
func newDurable(e *Engine) *durable.Service {
	return durable.New(e.background, durable.Options{
		Dir: e.opts.QueueDir, TokenFile: cmp.Or(e.opts.TokenFile, filepath.Join(e.opts.Dir, config.TokenFile)), OwnSecret: e.opts.TokenFile == "",
		Table: e.table.Load, Runner: runner{e}, Spend: e.callers.SpendLater, Decides: e.decides,
		Cluster: func() *discovery.Cluster {
			if e.watcher == nil {
				return nil
			}
			return new(e.watcher.Cluster())
		},
		Attempts: e.opts.durableAttempts, DrainTimeout: e.opts.DrainTimeout, Log: e.log, Now: e.now,
	})
}

// accept stores a call whose caller does not wait, and answers with its id.
func (e *Engine) accept(r *http.Request, c *call.Call, body *memory.Buffer) (protocol.Reply, *protocol.Failure) {
	d, f := e.durable.Taking(r.Context())
	if f != nil {
		return protocol.Reply{}, f
	}
	c.Accepted = true
	id, f := d.Calls.Accept(r.Context(), async.Submission{
		Input: async.Input{
			VanityURL: c.Route.VanityURL, KeyID: c.KeyID, Query: r.URL.RawQuery,
			ContentType: r.Header.Get("Content-Type"), Encoding: r.Header.Get("Content-Encoding"),
			Traceparent: c.Trace.Parent, Tracestate: c.Trace.State, Body: body.B,
		},
		Algorithm: c.Route.Algorithm, IdempotencyKey: r.Header.Get("Idempotency-Key"), Callback: cmp.Or(r.Header.Get("X-Callback-Url"), c.Callback),
	})
	if f != nil {
		return protocol.Reply{}, f
	}
	c.ID = id
	return protocol.VoidReply(id), nil
}

// resultRoomWait is how long a result waits for memory in the budget of replies, after
// its call's end was waited for: as long as callers who read slowly may hold theirs.
const resultRoomWait = 2 * time.Minute

// serveAsync answers what became of durable calls.
func (e *Engine) serveAsync(w http.ResponseWriter, r *http.Request) {
	var reply protocol.Reply
	key, f := e.authenticate(r)
	var share *memory.Share
	if f == nil {
		share = e.replies.Share(r.Context(), key.ID, time.Now().Add(async.MaxWait+resultRoomWait), nil)
		reply, f = e.durable.Answer(r, &key, share.Grow)
	}
	if f != nil {
		reply = protocol.ErrorReply(f)
	}
	reply.Share = share
	w.Header()["Cache-Control"] = []string{"no-store"}
	_ = e.write(w, nil, reply)
}

// serveBatch takes batches, and answers what is asked of them. rest is what
// stands after batch.Path.
func (e *Engine) serveBatch(w http.ResponseWriter, r *http.Request, rest string) {
	w.Header()["Cache-Control"] = []string{"no-store"}
	key, f := e.authenticate(r)
	if f == nil {
		f = e.durable.ServeBatch(w, r, &key, rest)
	}
	if f == nil {
		return
	}
	if f.Cause != nil {
		e.log.Info("a batch was refused", "path", r.URL.Path, "error", f)
	}
	discard(w, r)
	_ = e.write(w, nil, protocol.ErrorReply(f))
}
