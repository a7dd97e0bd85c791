package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// call is one algorithm call on its way through the engine.
type call struct {
	id      string
	start   time.Time
	route   *route
	keyID   string
	warning string // of the satellite's expiry, for the caller

	timeout time.Duration
	raw     bool
	stdout  bool
	timing  bool

	mediaType string // canonical: what a langserver accepts
	fullType  string // the caller's own, for http algorithms
	base64    bool
	trace     traceContext

	wait, run time.Duration
	replica   string
	status    int
	outcome   outcome
	answering bool // the answer is being written
}

// asking is what a request says that is not its body. The bytes are the
// caller's, valid for the time of admit.
type asking struct {
	method, path          string // path is what stands after /v1/algo/
	query                 string
	authorization         []byte
	contentType, encoding string
	traceparent           string
	tracestate            string
}

// admit finds out who calls what, and how; nil when the call may go on.
func (e *Engine) admit(c *call, q *asking) *failure {
	c.trace = readTrace(q.traceparent, q.tracestate)
	if q.method != http.MethodPost {
		f := refuse(http.StatusMethodNotAllowed, "algorithms are called with POST")
		f.allow = http.MethodPost
		return f
	}
	t := e.table.Load()
	now := e.now()
	key, f := (*e.keys.Load()).find(q.authorization, now)
	c.keyID = key.ID
	if f != nil {
		return f
	}
	if key.limited() {
		e.peers.tellSpent(key.ID)
	}
	c.warning = t.warning.text(now)
	if c.route = t.find(q.path); c.route == nil {
		return refuse(http.StatusNotFound, fmt.Sprintf("algorithm %s not found", constellation.AlgorithmURI(strings.TrimSuffix(q.path, "/"))))
	}
	if !key.May(c.route.VanityURL) {
		return refuse(http.StatusForbidden, fmt.Sprintf("the API key %q may not call %s", key.Name, constellation.AlgorithmURI(c.route.VanityURL)))
	}
	if f := c.readQuery(q.query); f != nil {
		return f
	}
	e.startSpan(c)
	return c.readType(q.contentType, q.encoding)
}

// deadline is when the call's time-out passes; it counts from its arrival.
func (c *call) deadline() time.Time { return c.start.Add(c.timeout) }

// replyLimit is the most that is read of a replica's answer.
func (c *call) replyLimit() int {
	if c.route.isLangserver() {
		return maxReply
	}
	return maxOutput
}

// read makes a result or a failure of a replica's answer, whose body the
// result takes over.
func (c *call) read(a answer) (result, *failure) {
	var (
		res result
		f   *failure
	)
	if c.route.isLangserver() {
		var (
			stdout   []byte
			duration time.Duration
		)
		res, stdout, duration, f = readLangserver(a)
		res.stdout, res.duration = stdout, duration
		if f != nil {
			f.seconds = duration
			if c.stdout {
				f.stdout = append([]byte(nil), stdout...) // it outlives the reply's buffer
			}
		}
	} else {
		res, f = readHTTP(a)
		res.duration = -1
	}
	if f != nil {
		a.body.release()
		return result{}, f
	}
	if res.duration < 0 {
		res.duration = c.run
	}
	res.body = a.body
	return res, nil
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
		message: fmt.Sprintf("no replica of %s is ready%s; try again later", c.route.VanityURL, c.route.because()),
	}
}

// finish counts and logs a call.
func (e *Engine) finish(c *call, f *failure) {
	if f != nil {
		c.outcome, c.status = f.outcome, f.status
		if c.raw && c.status == http.StatusOK {
			c.status = http.StatusBadRequest
		}
	}
	e.metrics.finish(c)
	e.endSpan(c)
	e.access.write(c, f)
}
