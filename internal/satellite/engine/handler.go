package engine

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/authn"
	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/call"
	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/http1"
	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
)

const (
	callPrefix = http1.Prefix
	webPrefix  = "/v1/web/algo/" // the same for pages in browsers
)

// ServeHTTP is everything on --listen and --tls-listen. Most calls never come here: the event
// loops answer them.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// net/http hides whether there was a Content-Length too, and such a
		// request must be the connection's last (RFC 9112, 6.1).
		w.Header()["Connection"] = []string{"close"}
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, callPrefix):
		e.serveCall(w, r, callPrefix)
	case strings.HasPrefix(path, webPrefix):
		e.serveWeb(w, r)
	case strings.HasPrefix(path, batch.Path):
		e.serveBatch(w, r, path[len(batch.Path):])
	case strings.HasPrefix(path, async.Path):
		e.serveAsync(w, r)
	case path == "/v1/insights":
		e.serveInsights(w, r)
	case path == "/v1/status":
		e.prove(w, r)
		e.serveStatus(w, r)
	case path == peer.Path && r.TLS == nil && e.mesh.Accept(w, r):
	case path == "/healthz":
		e.serveHealth(w, r)
	case path == "/readyz":
		e.serveReady(w, r)
	default:
		_ = e.write(w, nil, protocol.ErrorReply(protocol.Refuse(http.StatusNotFound, "there is nothing here; algorithms are called at "+callPrefix+"…")))
	}
}

// serveCall answers one algorithm call: every error on its way comes back to
// here, is written, counted and logged. prefix is what its path begins with.
func (e *Engine) serveCall(w http.ResponseWriter, r *http.Request, prefix string) {
	e.paths.NetHTTP.Add(1)
	q := e.request(r, prefix)
	if q.to.Passed {
		e.servePassed(w, r, q)
		return
	}
	c := e.newCall(r)
	defer e.rescue(c, w)
	out, f := e.call(c, w, r, q)
	if f != nil {
		out.Release()
		if f.Outcome == protocol.OutcomeCanceled {
			e.finish(c, f)
			panic(http.ErrAbortHandler) // else net/http would answer 200 with nothing
		}
		out = c.ErrorReply(f)
	}
	c.Answering = true
	if err := e.write(w, c, out); err != nil && f == nil {
		c.Outcome = protocol.OutcomeCanceled // the caller is gone
	}
	e.finish(c, f)
}

func (e *Engine) newCall(r *http.Request) *call.Call {
	return &call.Call{Call: protocol.Call{ID: protocol.RequestID(r.Header.Get("X-Request-Id")), Start: time.Now()}, Log: e.log, Status: http.StatusOK}
}

// rescue is deferred: it answers a call that panicked.
func (e *Engine) rescue(c *call.Call, w http.ResponseWriter) {
	c.Share.Release()
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // net/http's word, never wrapped
		panic(p)
	}
	f := e.panicked(c, p)
	if c.Answering {
		panic(http.ErrAbortHandler) // part of an answer is out already
	}
	_ = e.write(w, c, c.ErrorReply(f))
}

// request returns what a request of net/http's says.
func (e *Engine) request(r *http.Request, prefix string) *callRequest {
	q := &callRequest{
		table: e.table.Load(), method: r.Method, path: r.URL.Path[len(prefix):], query: r.URL.RawQuery, prefix: prefix,
		authorization: []byte(r.Header.Get("Authorization")),
		contentType:   r.Header.Get("Content-Type"), encoding: r.Header.Get("Content-Encoding"),
		traceparent: r.Header.Get("Traceparent"), tracestate: r.Header.Get("Tracestate"),
		from: authn.RemoteOf(r),
	}
	raw, _ := strings.CutPrefix(cmp.Or(r.URL.RawPath, r.URL.EscapedPath()), prefix) // as it was written
	q.to = q.table.Lookup(routing.Request{Method: q.method, Path: q.path, Raw: raw, Query: q.query, Accept: []byte(strings.Join(r.Header["Accept"], ","))})
	return q
}

// await is admit where the caller's pod, or the key of their token, may not be known
// yet.
func (e *Engine) await(ctx context.Context, q *callRequest, admit func() *protocol.Failure) *protocol.Failure {
	f := admit()
	if authn.MayAwait(f) {
		if f = e.callers.Await(ctx, f, q.from); f == nil {
			f = admit()
		}
	}
	return f
}

// serveWeb is the algorithm-call API for pages in browsers: the same calls,
// with CORS.
func (e *Engine) serveWeb(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodOptions {
		routing.AllowCalls(w.Header(), e.request(r, webPrefix).to.Route)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	routing.AllowPages(w.Header())
	e.serveCall(w, r, webPrefix)
}

// panicked logs a panic and returns the failure that its caller reads.
func (e *Engine) panicked(c *call.Call, p any) *protocol.Failure {
	e.log.Error("the engine panicked", "request_id", c.ID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	f := &protocol.Failure{Status: http.StatusInternalServerError, Outcome: protocol.OutcomeFault, Message: "the engine failed; its log has request " + c.ID}
	e.finish(c, f)
	return f
}

// call makes the call and returns its reply.
func (e *Engine) call(c *call.Call, w http.ResponseWriter, r *http.Request, q *callRequest) (protocol.Reply, *protocol.Failure) {
	if f := e.await(r.Context(), q, func() *protocol.Failure { return e.admit(c, q) }); f != nil {
		discard(w, r)
		return protocol.Reply{}, f
	}
	share := e.requests.Share(r.Context(), c.KeyID, c.Deadline(), nil)
	defer share.Release()
	body, f := e.readBody(c, w, r, share)
	if f != nil {
		return protocol.Reply{}, f
	}
	if c.Void {
		defer body.Release()
		return e.accept(r, c, body)
	}
	c.Share = e.replyShare(c.ExchangeContext(r.Context()), c)
	res, f := e.dispatch(r.Context(), c, body, nil)
	body.Release()
	share.Release()
	if f != nil {
		return protocol.Reply{}, f
	}
	return c.Reply(&res)
}

// write puts a reply on an HTTP connection and releases it.
func (e *Engine) write(w http.ResponseWriter, c *call.Call, out protocol.Reply) error {
	defer out.Release()
	id, warning := "", ""
	if c != nil {
		id, warning = c.ID, c.Warning
	}
	header := w.Header()
	out.Headers(id, warning, out.Close || e.draining.Load(), func(name, value string) { header[name] = []string{value} })
	header["Content-Length"] = []string{strconv.Itoa(out.Length())}
	w.WriteHeader(out.Status)
	return out.WriteParts(w, writeStall)
}

// writeStall is how long a caller may take nothing of an answer.
const writeStall = time.Minute

// serveInsights takes what an algorithm reports.
func (e *Engine) serveInsights(w http.ResponseWriter, r *http.Request) {
	if f := e.insights.Take(r); f != nil {
		_ = e.write(w, nil, protocol.ErrorReply(f))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (e *Engine) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, "ok")
}

// serveReady reports whether calls should come here, and if not, why.
func (e *Engine) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case e.draining.Load():
		writeStatus(w, http.StatusServiceUnavailable, "draining: this engine stops soon")
	case e.table.Load().NeedsCluster && !e.watcher.Synced():
		writeStatus(w, http.StatusServiceUnavailable, "the cluster's endpoints are not known yet")
	case e.keeper != nil && !e.keeper.Known():
		writeStatus(w, http.StatusServiceUnavailable, "it is not known yet who may call: the Secret "+config.KeptSecret+" is not read")
	case !e.mesh.Joined():
		writeStatus(w, http.StatusServiceUnavailable, "the satellite's other engines are not known yet")
	default:
		writeStatus(w, http.StatusOK, "ready")
	}
}

func writeStatus(w http.ResponseWriter, status int, message string) {
	w.Header()["Content-Type"] = []string{protocol.MediaJSON}
	w.WriteHeader(status)
	_, _ = w.Write(append(jsonscan.AppendQuoted([]byte(`{"status":`), message), "}\n"...))
}
