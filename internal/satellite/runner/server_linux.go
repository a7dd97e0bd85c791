package runner

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// requestIDHeader names a call; a DELETE that carries it ends that call only.
const requestIDHeader = "X-Request-Id"

// ServeHTTP answers as langserver does, whatever the path: GET reports
// whether the algorithm is loaded, POST calls it, DELETE ends its process.
func (r *Runner) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.drains.Load() {
		w.Header().Set("Connection", "close")
	}
	switch req.Method {
	case http.MethodGet:
		r.serveAlive(w)
	case http.MethodPost:
		line, err := readInput(req)
		if err != nil {
			answer(w, http.StatusBadRequest, refusal(err.Error()))
			return
		}
		r.serveCall(w, req, line)
	case http.MethodDelete:
		w.Header().Set("Connection", "close")
		code := r.endCall(req.Header.Get(requestIDHeader))
		answer(w, http.StatusOK, []byte(`{"result":"Runner exited: `+strconv.Itoa(code)+`"}`))
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		answer(w, http.StatusMethodNotAllowed, refusal("method not allowed"))
	}
}

func (r *Runner) serveAlive(w http.ResponseWriter) {
	r.mu.Lock()
	p, failing := r.process, r.failing
	r.mu.Unlock()
	switch {
	case p != nil:
		answer(w, http.StatusOK, []byte(`{"result":"LangServer alive."}`))
	case failing != "":
		answer(w, http.StatusServiceUnavailable, refusal(failing))
	default:
		answer(w, http.StatusServiceUnavailable, refusal("the algorithm is loading"))
	}
}

// endCall ends the process, which ends its call, and gives its exit code. With
// an id it ends the call of that id only: by the time a DELETE arrives,
// another call may run.
func (r *Runner) endCall(id string) int {
	r.mu.Lock()
	p, running := r.process, r.callID
	r.mu.Unlock()
	if p == nil || id != "" && id != running {
		return 0
	}
	p.end()
	<-p.exited
	return p.code
}

// serveCall waits for its turn and for a loaded process, and runs the call.
// Who leaves before it started is forgotten; a call that started runs on.
func (r *Runner) serveCall(w http.ResponseWriter, req *http.Request, line []byte) {
	ctx := req.Context()
	for {
		p, failed, err := r.loadedProcess(ctx)
		if err != nil {
			return
		}
		if failed != nil {
			r.write(w, &outcome{failed: failed})
			return
		}
		select {
		case r.one <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if !r.begin(p, req.Header.Get(requestIDHeader)) {
			<-r.one
			continue // it ended while we waited
		}
		o, err := r.run(p, line)
		r.begin(nil, "")
		<-r.one
		if errors.Is(err, errNotStarted) {
			continue
		}
		r.write(w, &o)
		return
	}
}

// begin notes which call runs; false when p is not the process any more.
func (r *Runner) begin(p *process, id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.callID = id
	return p != nil && r.process == p
}

func (r *Runner) write(w http.ResponseWriter, o *outcome) {
	var b bytes.Buffer
	b.Grow(len(o.result) + len(o.raised) + len(o.stdout) + len(o.stderr) + 256)
	if err := o.append(&b); err != nil {
		answer(w, http.StatusInternalServerError, refusal(err.Error()))
		return
	}
	answer(w, http.StatusOK, b.Bytes())
}

// errNotStarted is a process that ended by itself before it read one byte of
// the call: the next one may have it.
var errNotStarted = errors.New("the process ended before the call")

// run does one call on a loaded process; the caller holds r.one.
func (r *Runner) run(p *process, line []byte) (outcome, error) {
	p.stdout.begin()
	p.stderr.begin()
	start := time.Now()
	guard := time.AfterFunc(r.CallAtMost, func() {
		r.log.Warn("a call took too long and nobody ended it: ending the process")
		p.end()
	})
	o, err := r.exchange(p, line)
	guard.Stop()
	o.took = time.Since(start)
	if errors.Is(err, errNotStarted) {
		return o, err
	}
	if err != nil {
		o = r.explain(p, err, o.took)
	} else if o.failed == nil || o.failed.Type != "SystemExit" {
		p.replied()
	}
	o.stdout, o.stderr = p.stdout.collect(), p.stderr.collect()
	return o, nil
}

// exchange sends a request and reads its reply. An error means that the
// process does not follow the protocol any more, or is gone.
func (r *Runner) exchange(p *process, line []byte) (outcome, error) {
	if err := p.replies.open(); err != nil {
		return outcome{}, err
	}
	defer p.replies.close()
	sending := p.send(line)
	data, err := p.replies.read(int(p.gone.Fd()))
	if errors.Is(err, errReplyTooLarge) {
		return outcome{failed: &failure{Type: "TooLargeError", Message: "the result is larger than 15 MiB"}}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	if len(data) == 0 && !p.ended() && p.isGone() && p.unread() == sending.end() {
		return outcome{}, errNotStarted
	}
	o, err := readReply(bytes.TrimSpace(data))
	if err != nil {
		return outcome{}, err
	}
	return o, sending.taken()
}

// explain makes an error of a call whose reply did not come: the process is
// gone, or is ended now, since nothing it says later can be trusted.
func (r *Runner) explain(p *process, cause error, took time.Duration) outcome {
	f := &failure{Type: "SystemExit"}
	select {
	case <-p.exited:
	case <-time.After(time.Second): // not its end broke the reply
		p.endGroup()
		<-p.exited
		f.Stacktrace = "the reply cannot be read, and the process was ended: " + cause.Error() + "\n"
	}
	f.Message = "exited with code " + strconv.Itoa(p.code)
	switch {
	case p.ended():
		f.Type, f.Message, f.Stacktrace = "TimeoutError", ranOut, ""
	case p.outOfMem:
		f.Type, f.Message = "OutOfMemoryError", ranOut
		f.Stacktrace = "the algorithm's process was killed: it reached the container's memory limit" + memoryLimit() + "\n"
	}
	f.Stacktrace += p.tail.String()
	return outcome{failed: f, took: took}
}
