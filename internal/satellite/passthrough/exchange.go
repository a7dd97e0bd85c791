package passthrough

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// copyStep is what is read of an answer at once.
const copyStep = 32 << 10

var buffers = sync.Pool{New: func() any { return new([copyStep]byte) }}

// ErrCallerStalled is why an exchange ended whose caller takes nothing of the
// answer, or has left.
var ErrCallerStalled = errors.New("the caller does not take the answer")

// Options are what an exchange is passed on with.
type Options struct {
	Target      *url.URL // at the replica, without its host, as Target returns it
	Prefix      string   // what the paths of the algorithm's calls begin with
	Base        string   // what that is at the replica
	HTTP2       bool
	Idle        time.Duration
	MaxBody     int64 // 0 is no limit
	Cookies     Cookies
	RequestID   string
	Traceparent string
	Tracestate  string
}

// Exchange is a request that is being passed on. Make it with New, and Close it.
type Exchange struct {
	opts   Options
	in     *http.Request
	w      http.ResponseWriter
	rc     *http.ResponseController
	ctx    context.Context
	cancel context.CancelCauseFunc
	watch  *watch
	body   *body // nil without one
	reads  deadline
	writes deadline
}

// New returns the exchange of a request that is answered to w. It ends with the
// request's context.
func New(w http.ResponseWriter, r *http.Request, opts Options) *Exchange {
	x := &Exchange{opts: opts, in: r, w: w, rc: http.NewResponseController(w)}
	x.ctx, x.cancel = context.WithCancelCause(r.Context())
	x.reads = deadline{idle: opts.Idle, set: x.rc.SetReadDeadline}
	x.writes = deadline{idle: opts.Idle, set: x.rc.SetWriteDeadline}
	if r.Body != nil && r.Body != http.NoBody {
		x.body = &body{x: x, from: r.Body}
		_ = x.rc.EnableFullDuplex() // HTTP/2 is
	}
	return x
}

// Send passes the request on to the replica at an address, and returns the head
// of its answer. When upstream.NotStarted, another one may be asked.
func (x *Exchange) Send(t *Transport, addr string) (*http.Response, error) {
	if x.watch == nil {
		x.watch = newWatch(x.opts.Idle, x.cancel)
	}
	x.watch.move()
	target := *x.opts.Target
	target.Host, target.RawQuery, target.ForceQuery = addr, query(x.in.URL.RawQuery), x.in.URL.ForceQuery
	out := &http.Request{
		Method: x.in.Method, URL: &target, Host: x.in.Host,
		Header: x.requestHeader(x.in), ContentLength: x.in.ContentLength,
	}
	if x.body != nil {
		out.Body, out.Trailer = x.body, x.in.Trailer
	}
	x.upgradeHeader(out)
	res, err := t.of(out, x.opts.HTTP2).RoundTrip(out.WithContext(x.ctx))
	if err != nil {
		return nil, x.cause(fmt.Errorf("pass the call on: %w", err))
	}
	if res.StatusCode == http.StatusSwitchingProtocols && !x.asked(res) {
		_ = res.Body.Close()
		return nil, fmt.Errorf("pass the call on: %w", errNoUpgrade)
	}
	x.watch.move()
	return res, nil
}

// query returns a query as a request line may have it.
func query(raw string) string {
	return escaped(raw, func(c byte) bool { return c > ' ' && c < 0x7f })
}

// Answer gives the caller the replica's answer as it comes. An error that is
// not ErrCallerStalled means that it broke off.
func (x *Exchange) Answer(res *http.Response) error {
	defer func() { _ = res.Body.Close() }()
	header := x.w.Header()
	x.answerHeader(header, res)
	if x.Unread() {
		header["Connection"] = []string{"close"}
	}
	x.writes.renew()
	x.w.WriteHeader(res.StatusCode)
	if res.ContentLength != 0 && x.in.Method != http.MethodHead {
		// An answer without a body is sent when it is whole: to a gRPC client a
		// status in the head means nothing unless that ends the stream.
		if err := x.copyBody(res.Body); err != nil {
			return err
		}
	}
	for name, values := range res.Trailer {
		header[http.TrailerPrefix+name] = values
	}
	return nil
}

func (x *Exchange) copyBody(from io.Reader) error {
	buffer, _ := buffers.Get().(*[copyStep]byte)
	defer buffers.Put(buffer)
	if err := x.flush(); err != nil {
		return err
	}
	for {
		n, err := from.Read(buffer[:])
		if n > 0 {
			x.watch.move()
			x.writes.renew()
			if _, err := x.w.Write(buffer[:n]); err != nil {
				return fmt.Errorf("%w: %w", ErrCallerStalled, err)
			}
			if err := x.flush(); err != nil {
				return err
			}
			x.watch.move()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return x.cause(fmt.Errorf("read the replica's answer: %w", err))
		}
	}
}

func (x *Exchange) flush() error {
	if err := x.rc.Flush(); err != nil {
		return fmt.Errorf("%w: %w", ErrCallerStalled, err)
	}
	return nil
}

// cause returns why an exchange really ended that ended with err.
func (x *Exchange) cause(err error) error {
	if why := x.body.failure(); why != nil {
		return why
	}
	if x.ctx.Err() != nil {
		return context.Cause(x.ctx)
	}
	return err
}

// Unread reports whether a caller of HTTP/1 may still send of the request's body,
// so that nothing else can follow on the connection.
func (x *Exchange) Unread() bool { return x.in.ProtoMajor == 1 && x.body.unread() }

// Close ends the exchange: what its replica still does of it is cut off.
func (x *Exchange) Close() {
	x.cancel(context.Canceled)
	if x.watch != nil {
		x.watch.stop()
	}
	x.body.abandon()
}
