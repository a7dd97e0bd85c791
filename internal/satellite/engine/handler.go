package engine

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

const (
	callPrefix = "/v1/algo/"
	webPrefix  = "/v1/web/algo/" // the same for pages in browsers
)

// ServeHTTP is everything on --listen. Most calls never come here: fast.go
// answers them.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// net/http hides whether there was a Content-Length too, and such a
		// request must be the connection's last (RFC 9112, 6.1).
		w.Header()["Connection"] = []string{"close"}
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, callPrefix):
		e.serveCall(w, r, path[len(callPrefix):])
	case strings.HasPrefix(path, webPrefix):
		e.serveWeb(w, r, path[len(webPrefix):])
	case path == "/v1/insights":
		e.serveInsights(w, r)
	case path == "/v1/status":
		e.serveStatus(w, r)
	case path == peerPath:
		e.peers.serve(w, r)
	case path == "/healthz":
		e.serveHealth(w, r)
	case path == "/readyz":
		e.serveReady(w, r)
	default:
		var none *call
		_ = e.write(w, none, none.failed(refuse(http.StatusNotFound, "there is nothing here; algorithms are called at "+callPrefix+"…")))
	}
}

// serveCall answers one algorithm call: every error on its way comes back to
// here, is written, counted and logged.
func (e *Engine) serveCall(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{id: requestID(r.Header.Get("X-Request-Id")), start: time.Now(), status: http.StatusOK}
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler { //nolint:errorlint // net/http's word, never wrapped
			panic(p)
		}
		f := e.panicked(c, p)
		if c.answering {
			panic(http.ErrAbortHandler) // part of an answer is out already
		}
		_ = e.write(w, c, c.failed(f))
	}()
	out, f := e.call(c, w, r, path)
	if f != nil {
		out.release()
		if f.outcome == outcomeCanceled {
			e.finish(c, f)
			panic(http.ErrAbortHandler) // else net/http would answer 200 with nothing
		}
		out = c.failed(f)
	}
	c.answering = true
	if err := e.write(w, c, out); err != nil && f == nil {
		c.outcome = outcomeCanceled // the caller is gone
	}
	e.finish(c, f)
}

// panicked logs a panic and makes the failure that the caller is told.
func (e *Engine) panicked(c *call, p any) *failure {
	e.log.Error("the engine panicked", "request_id", c.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	f := &failure{status: http.StatusInternalServerError, outcome: outcomeFault, message: "the engine failed; its log has request " + c.id}
	e.finish(c, f)
	return f
}

// call does the call and gives the reply.
func (e *Engine) call(c *call, w http.ResponseWriter, r *http.Request, path string) (reply, *failure) {
	f := e.admit(c, &asking{
		method: r.Method, path: path, query: r.URL.RawQuery,
		authorization: []byte(r.Header.Get("Authorization")),
		contentType:   r.Header.Get("Content-Type"), encoding: r.Header.Get("Content-Encoding"),
		traceparent: r.Header.Get("Traceparent"), tracestate: r.Header.Get("Tracestate"),
	})
	if f != nil {
		discard(w, r)
		return reply{}, f
	}
	share := &share{of: e.room, ctx: r.Context(), patience: min(c.timeout, roomPatience)}
	defer share.give()
	body, f := e.readBody(c, w, r, share)
	if f != nil {
		return reply{}, f
	}
	res, f := e.dispatch(r.Context(), c, body)
	body.release()
	if f != nil {
		return reply{}, f
	}
	out, f := c.reply(&res)
	res.body.release() // nil when the reply has it
	return out, f
}

// write puts a reply on an HTTP connection and releases it.
func (e *Engine) write(w http.ResponseWriter, c *call, out reply) error {
	defer out.release()
	header := w.Header()
	if c != nil {
		header["X-Request-Id"] = []string{c.id}
		if c.warning != "" {
			header["X-Constellation-Warning"] = []string{c.warning}
		}
	}
	if out.close || e.draining.Load() {
		header["Connection"] = []string{"close"}
	}
	if out.contentType != "" {
		header["Content-Type"] = []string{out.contentType}
	}
	if out.allow != "" {
		header["Allow"] = []string{out.allow}
	}
	if out.nosniff {
		header["X-Content-Type-Options"] = []string{"nosniff"}
	}
	if out.retryAfter > 0 {
		header["Retry-After"] = []string{strconv.Itoa(out.retryAfter)}
	}
	header["Content-Length"] = []string{strconv.Itoa(out.length())}
	w.WriteHeader(out.status)
	return writeParts(w, &out)
}

// writeStep is what a caller has to take within writePatience: one who reads
// nothing would keep a large answer in memory.
const (
	writeStep     = 256 << 10
	writePatience = time.Minute
)

func writeParts(w http.ResponseWriter, out *reply) error {
	for _, part := range out.parts {
		for len(part) > 0 {
			if out.length() > smallBody {
				_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writePatience))
			}
			n := min(len(part), writeStep)
			if _, err := w.Write(part[:n]); err != nil {
				return err
			}
			part = part[n:]
		}
	}
	return nil
}

func (e *Engine) serveHealth(w http.ResponseWriter, _ *http.Request) {
	writeStatus(w, http.StatusOK, "ok")
}

// serveReady says whether calls should come here, and if not, why.
func (e *Engine) serveReady(w http.ResponseWriter, _ *http.Request) {
	switch {
	case e.draining.Load():
		writeStatus(w, http.StatusServiceUnavailable, "draining: this engine stops soon")
	case e.table.Load().lookedUp && !e.watcher.synced():
		writeStatus(w, http.StatusServiceUnavailable, "the cluster's endpoints are not known yet")
	case !e.peers.met():
		writeStatus(w, http.StatusServiceUnavailable, "the satellite's other engines are not known yet")
	default:
		writeStatus(w, http.StatusOK, "ready")
	}
}

func writeStatus(w http.ResponseWriter, status int, message string) {
	w.Header()["Content-Type"] = []string{mediaJSON}
	w.WriteHeader(status)
	_, _ = w.Write(append(appendQuoted([]byte(`{"status":`), message), "}\n"...))
}
