package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const callPrefix = "/v1/algo/"

// ServeHTTP is everything on --listen.
func (e *Engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, callPrefix):
		e.serveCall(w, r, path[len(callPrefix):])
	case path == "/healthz":
		e.serveHealth(w, r)
	case path == "/readyz":
		e.serveReady(w, r)
	default:
		_ = writeFailure(w, nil, refuse(http.StatusNotFound, "there is nothing here; algorithms are called at "+callPrefix+"…"))
	}
}

// serveCall answers one algorithm call: every error on its way comes back to
// here, is written, counted and logged.
func (e *Engine) serveCall(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{id: requestID(r.Header), start: time.Now(), status: http.StatusOK}
	header := w.Header()
	header["X-Request-Id"] = []string{c.id}
	if e.draining.Load() {
		header["Connection"] = []string{"close"}
	}
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("the engine panicked", "request_id", c.id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			c.outcome, c.status = outcomeFault, http.StatusInternalServerError
			e.finish(c, nil)
			if c.answering {
				panic(http.ErrAbortHandler) // part of an answer is out already
			}
			_ = writeFailure(w, c, &failure{status: c.status, message: "the engine failed; its log has request " + c.id})
		}
	}()
	err := e.call(c, w, r, path)
	var f *failure
	if errors.As(err, &f) {
		c.outcome, c.status = f.outcome, f.status
		if f.status == http.StatusRequestEntityTooLarge || f.status == http.StatusRequestTimeout {
			header["Connection"] = []string{"close"}
		}
		if c.outcome != outcomeCanceled {
			if c.raw && c.status == http.StatusOK {
				c.status = http.StatusBadRequest
			}
			_ = writeFailure(w, c, f)
		}
	} else if err != nil {
		c.outcome = outcomeCanceled // the answer could not be written
	}
	e.finish(c, err)
}

// call does the call and writes its result; an error, if any, is a *failure
// that is not written yet, or what writing died of.
func (e *Engine) call(c *call, w http.ResponseWriter, r *http.Request, path string) error {
	if r.Method != http.MethodPost {
		w.Header()["Allow"] = []string{http.MethodPost}
		return refuse(http.StatusMethodNotAllowed, "algorithms are called with POST")
	}
	t := e.table.Load()
	key, f := (*e.keys.Load()).find([]byte(r.Header.Get("Authorization")), e.now())
	if f != nil {
		return f
	}
	c.keyID = key.ID
	if t.satellite.Expired(e.now()) {
		w.Header()["X-Constellation-Warning"] = t.warning
	}
	if c.route = t.find(path); c.route == nil {
		return refuse(http.StatusNotFound, fmt.Sprintf("algorithm %s not found", constellation.AlgorithmURI(strings.TrimSuffix(path, "/"))))
	}
	if !key.May(c.route.VanityURL) {
		return refuse(http.StatusForbidden, fmt.Sprintf("the API key %q may not call %s", key.Name, constellation.AlgorithmURI(c.route.VanityURL)))
	}
	if f := c.readQuery(r.URL.RawQuery); f != nil {
		return f
	}
	if f := c.readType(r.Header); f != nil {
		return f
	}
	body, f := c.readBody(r)
	if f != nil {
		return f
	}
	res, f := e.dispatch(r.Context(), c, body)
	body.release()
	if res.body != nil {
		defer res.body.release()
	}
	if f != nil {
		return f
	}
	c.answering = true
	if c.raw {
		return writeRaw(w, &res)
	}
	return writeResult(w, c, &res)
}

// dispatch runs the call on a replica with room, and on another one when the
// first surely did not start it. The time-out counts from the call's arrival.
func (e *Engine) dispatch(ctx context.Context, c *call, body *buffer) (result, *failure) {
	pool := c.route.pool
	deadline := c.start.Add(c.timeout)
	queued := time.Now()
	head := newBuffer(1024 + smallBody)
	defer head.release()
	for tries := 0; ; tries++ {
		rep, err := pool.acquire(ctx, deadline, tries > 0)
		c.wait = time.Since(queued)
		if err != nil {
			return result{}, c.notServed(err)
		}
		started := time.Now()
		res, f, err := e.runOn(ctx, c, rep, deadline, head, body)
		c.run = time.Since(started)
		if _, ok := errors.AsType[notStartedError](err); ok {
			if ctx.Err() != nil {
				return result{}, c.notServed(errCallerGone)
			}
			if !time.Now().Before(deadline) {
				return result{}, timedOut()
			}
			continue
		}
		if f != nil {
			return res, f
		}
		if res.duration < 0 {
			res.duration = c.run
		}
		return res, nil
	}
}

// notServed makes a failure of a call that no replica started.
func (c *call) notServed(err error) *failure {
	switch {
	case errors.Is(err, errQueueFull):
		return &failure{
			status: http.StatusTooManyRequests, outcome: outcomeFull, retryAfter: 1,
			message: fmt.Sprintf("%s is busy: %d calls wait already; try again later", c.route.VanityURL, c.route.Queue.Limit),
		}
	case errors.Is(err, errWaitedOut):
		return timedOut()
	case errors.Is(err, errCallerGone):
		return &failure{status: 499, outcome: outcomeCanceled, message: "the caller went away"}
	}
	return &failure{
		status: http.StatusServiceUnavailable, outcome: outcomeNone, retryAfter: 2,
		message: fmt.Sprintf("no replica of %s is ready; try again later", c.route.VanityURL),
	}
}

// runOn runs the call on one replica and gives its slot back. The error is a
// notStartedError when another replica may be tried.
func (e *Engine) runOn(ctx context.Context, c *call, rep *replica, deadline time.Time, head *buffer, body *buffer) (result, *failure, error) {
	pool := c.route.pool
	defer pool.release(rep)
	langserver := c.route.isLangserver()
	exchange := ctx
	limit := maxOutput
	if langserver {
		// A langserver cannot cancel: the call runs on when its caller leaves,
		// and holds its slot until it ends.
		exchange = context.WithoutCancel(ctx)
		limit = maxReply
	}
	head.b = c.appendHead(head.b[:0], rep.addr, len(body.b))
	a, err := rep.exchange(exchange, deadline, head, body.b, limit)
	switch {
	case err == nil:
	case errors.Is(err, errTimedOut):
		if langserver && pool.withhold(rep) {
			e.log.Warn("the call timed out: ending its replica", "request_id", c.id, "algorithm", c.route.VanityURL, "replica", rep.addr)
			e.revivals.Go(func() { e.revive(e.background, pool, rep) })
		}
		return result{}, timedOut(), nil
	case errors.Is(err, errTooLarge):
		return result{}, tooLarge(), nil
	case ctx.Err() != nil && !langserver:
		return result{}, c.notServed(errCallerGone), nil
	default:
		if _, ok := errors.AsType[notStartedError](err); ok {
			// A caller who left, or had no time left, says nothing of the replica.
			if ctx.Err() == nil && time.Now().Before(deadline) {
				e.log.Warn("the replica refused the connection", "request_id", c.id, "algorithm", c.route.VanityURL, "replica", rep.addr, "error", err)
				pool.putAside(rep)
			}
			return result{}, nil, err
		}
		return result{}, lost(err), nil
	}
	var (
		res result
		f   *failure
	)
	if langserver {
		var (
			stdout   []byte
			duration time.Duration
		)
		res, stdout, duration, f = readLangserver(a)
		res.stdout, res.duration = stdout, duration
		if f != nil {
			f.seconds = duration
			if c.stdout {
				f.stdout = bytes.Clone(stdout) // it outlives the reply's buffer
			}
		}
	} else {
		res, f = readHTTP(a)
		res.duration = -1
	}
	res.body = a.body
	return res, f, nil
}

// finish counts and logs a call.
func (e *Engine) finish(c *call, err error) {
	e.metrics.finish(c)
	if e.access == nil {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs,
		slog.String("request_id", c.id),
		slog.Int("status", c.status),
		slog.String("outcome", c.outcome.String()),
		slog.Float64("seconds", time.Since(c.start).Seconds()),
		slog.Float64("wait_seconds", c.wait.Seconds()),
		slog.Float64("run_seconds", c.run.Seconds()),
	)
	if c.route != nil {
		attrs = append(attrs, slog.String("algorithm", c.route.VanityURL), slog.String("version", c.route.Algorithm))
	}
	if c.keyID != "" {
		attrs = append(attrs, slog.String("key_id", c.keyID))
	}
	if f, ok := errors.AsType[*failure](err); ok && f.cause != nil {
		attrs = append(attrs, slog.String("cause", f.cause.Error()))
	} else if ok && f.errorType != "" {
		attrs = append(attrs, slog.String("error_type", f.errorType))
	}
	e.access.LogAttrs(e.background, slog.LevelInfo, "call", attrs...)
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
	default:
		writeStatus(w, http.StatusOK, "ready")
	}
}

func writeStatus(w http.ResponseWriter, status int, message string) {
	w.Header()["Content-Type"] = typeJSON
	w.WriteHeader(status)
	_, _ = w.Write(append(appendQuoted([]byte(`{"status":`), message), "}\n"...))
}
