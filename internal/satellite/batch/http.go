package batch

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Path is the prefix of the addresses that Handle serves.
const Path = "/v1/batch/"

// MediaTypeJSONL is the content type of JSON Lines.
const MediaTypeJSONL = "application/jsonl"

// Caller is who asks, and what it may call.
type Caller struct {
	KeyID string
	May   func(vanityURL string) bool
	// Sees reports whether it may see what a key or an identity began; nil sees all.
	Sees func(keyID string) bool
}

// sees reports whether the caller may see a batch.
func (c *Caller) sees(r *record) bool {
	return c.May(r.VanityURL) && (c.Sees == nil || c.Sees(r.KeyID))
}

const writeStall = time.Minute

// ServeUpload takes the lines of a batch of an algorithm that the caller may call.
// A failure is to be answered; when it is nil all was written.
func (s *Service) ServeUpload(w http.ResponseWriter, r *http.Request, caller Caller, vanityURL string) *protocol.Failure {
	u, stream, f := readUpload(r)
	if f != nil {
		return f
	}
	u.VanityURL, u.KeyID = vanityURL, caller.KeyID
	ctx := r.Context()
	rec, n, err := s.open(ctx, u)
	if err != nil {
		return failureOf(err)
	}
	rc := http.NewResponseController(w)
	w.Header().Set("X-Batch-Id", rec.ID)
	body := &idleTimeoutReader{r.Body, rc, s.opts.IdleTimeout, time.Time{}}
	if stream {
		return s.stream(w, r, rc, rec, n, u, body)
	}
	rec, err = s.upload(ctx, rec, n, u.Complete, body)
	_ = rc.SetWriteDeadline(time.Now().Add(writeStall))
	if err != nil {
		return failureOf(err)
	}
	return writeJSON(w, s.status(rec))
}

// readUpload reads what the address and the headers say of an upload.
func readUpload(r *http.Request) (u *Upload, stream bool, f *protocol.Failure) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, false, refuse(http.StatusBadRequest, "the query string cannot be read; percent-encode its values")
	}
	u = &Upload{BatchID: query.Get("batch_id"), IdempotencyKey: r.Header.Get("Idempotency-Key")}
	for name, into := range map[string]*bool{"stream": &stream, "complete": &u.Complete} {
		switch query.Get(name) {
		case "true", "1":
			*into = true
		case "", "false", "0":
		default:
			return nil, false, refuse(http.StatusBadRequest, "%s is true or false", name)
		}
		query.Del(name)
	}
	query.Del("batch_id")
	u.Query = query.Encode()
	var c protocol.Call
	switch f := c.ReadQuery(u.Query); {
	case f != nil:
		return nil, false, f
	case query.Get("output") != "" && query.Get("output") != "default":
		return nil, false, refuse(http.StatusBadRequest, "the results of a batch are lines of JSON: call it without output")
	case r.Header.Get("Content-Encoding") != "" && !strings.EqualFold(r.Header.Get("Content-Encoding"), "identity"):
		return nil, false, refuse(http.StatusUnsupportedMediaType, "a batch is sent as JSON Lines without a Content-Encoding")
	case u.BatchID != "" && !isID(u.BatchID):
		return nil, false, refuse(http.StatusNotFound, "there is no such batch")
	case len(u.IdempotencyKey) > 255:
		return nil, false, refuse(http.StatusBadRequest, "an Idempotency-Key has at most 255 characters")
	}
	return u, stream, nil
}

// isID reports whether text may be a batch's ID.
func isID(text string) bool {
	rest, ok := strings.CutPrefix(text, idPrefix)
	return ok && len(rest) == 36 && strings.Trim(rest, "0123456789abcdef-") == ""
}

// stream takes the lines and writes the results as they come. A client that reads
// no results ends the stream alone.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, rc *http.ResponseController, rec *record, n int, u *Upload, body io.Reader) *protocol.Failure {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	_ = rc.EnableFullDuplex() // HTTP/2 is
	w.Header().Set("Content-Type", MediaTypeJSONL)
	w.WriteHeader(http.StatusOK)
	_ = rc.Flush()
	done := make(chan struct{})
	var wrote error
	go func() {
		defer close(done)
		o := &output{s: s, id: rec.ID, write: idleTimeoutWriter(w, rc), flush: rc.Flush}
		wrote = o.follow(ctx)
	}()
	_, err := s.upload(r.Context(), rec, n, u.Complete, body)
	if err != nil {
		cancel()
	}
	<-done
	if err != nil || wrote != nil {
		// The head is out: that this is not all is told by cutting the answer.
		s.log.Info("a batch's stream was cut; the batch goes on", "batch_id", rec.ID, "upload", err, "results", wrote)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// Serve answers what is asked of a batch: rest is what stands after Path.
func (s *Service) Serve(w http.ResponseWriter, r *http.Request, caller Caller, rest string) *protocol.Failure {
	id, what, _ := strings.Cut(rest, "/")
	unknown := refuse(http.StatusNotFound, "there is no such batch; batches are kept for %s", s.opts.Retention)
	if !isID(id) {
		return unknown
	}
	ctx := r.Context()
	rec, _, err := s.read(ctx, id)
	switch {
	case errors.Is(err, errNotFound) || err == nil && !caller.sees(rec):
		return unknown
	case err != nil:
		return failureOf(err)
	}
	switch get := r.Method == http.MethodGet; {
	case what == "" && get:
		return writeJSON(w, s.status(rec))
	case what == "" && r.Method == http.MethodDelete:
		return s.serveCancel(ctx, w, id)
	case what == "results" && get, what == "errors" && get:
		return s.serveOutput(w, r, rec, what == "errors")
	case what == "", what == "results", what == "errors":
		f := refuse(http.StatusMethodNotAllowed, "a batch is asked for with GET and cancelled with DELETE")
		if f.Allow = http.MethodGet; what == "" {
			f.Allow = "GET, DELETE"
		}
		return f
	}
	return refuse(http.StatusNotFound, "a batch has results and errors, and no %q", what)
}

func (s *Service) serveOutput(w http.ResponseWriter, r *http.Request, rec *record, failed bool) *protocol.Failure {
	rc := http.NewResponseController(w)
	w.Header().Set("Content-Type", MediaTypeJSONL)
	o := &output{s: s, id: rec.ID, failed: failed, write: idleTimeoutWriter(w, rc), flush: rc.Flush}
	var err error
	if r.URL.Query().Get("follow") == "true" {
		err = o.follow(r.Context())
	} else {
		err = o.soFar(r.Context(), rec)
	}
	if err != nil {
		s.log.Info("a batch's results were cut", "batch_id", rec.ID, "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// serveCancel cancels a batch. What has ended stays.
func (s *Service) serveCancel(ctx context.Context, w http.ResponseWriter, id string) *protocol.Failure {
	r, err := s.change(ctx, id, func(r *record) error {
		switch {
		case !r.FinishedAt.IsZero():
			return refuse(http.StatusConflict, "the batch has ended: there is nothing to cancel")
		case !r.CancelledAt.IsZero():
			return errUnchanged
		}
		r.CancelledAt = s.now().UTC()
		return nil
	})
	if err != nil {
		return failureOf(err)
	}
	s.queue.Signal(signalCancel, []byte(id))
	return writeJSON(w, s.status(r))
}

// failureOf returns what a caller is told of an error.
func failureOf(err error) *protocol.Failure {
	if f, ok := errors.AsType[*protocol.Failure](err); ok {
		return f
	}
	var f *protocol.Failure
	switch {
	case errors.Is(err, errNotFound):
		return refuse(http.StatusNotFound, "there is no such batch")
	case errors.Is(err, queue.ErrFull):
		f = refuse(http.StatusServiceUnavailable, "the queue is full; try again later")
		f.Outcome = protocol.OutcomeFull
	case errors.Is(err, queue.ErrUnavailable), errors.Is(err, queue.ErrUnknown), errors.Is(err, queue.ErrConflict):
		f = refuse(http.StatusServiceUnavailable, "the queue is not available; try again later: what was stored of a batch is not lost")
		f.Outcome = protocol.OutcomeFault
	default:
		f = refuse(http.StatusBadRequest, "the lines were cut off; what came of them is stored and runs: send the batch again with its batch_id or Idempotency-Key, and it goes on there")
		f.Cause = err
		return f
	}
	f.Cause, f.RetryAfter = err, 5
	return f
}

func writeJSON(w http.ResponseWriter, v any) *protocol.Failure {
	data, err := json.Marshal(v)
	if err != nil {
		return &protocol.Failure{Status: http.StatusInternalServerError, Outcome: protocol.OutcomeFault, Message: "the answer cannot be written", Cause: err}
	}
	w.Header().Set("Content-Type", protocol.MediaJSON)
	_, _ = w.Write(append(data, '\n'))
	return nil
}

// idleTimeoutReader gives a client some time for each read: a batch has none as a
// whole.
type idleTimeoutReader struct {
	r    io.Reader
	rc   *http.ResponseController
	idle time.Duration
	set  time.Time
}

func (p *idleTimeoutReader) Read(b []byte) (int, error) {
	if now := time.Now(); now.Sub(p.set) > p.idle/16 {
		_ = p.rc.SetReadDeadline(now.Add(p.idle))
		p.set = now
	}
	return p.r.Read(b)
}

// idleTimeoutWriter returns a function that writes lines, each of which the client
// has to take within writeStall.
func idleTimeoutWriter(w io.Writer, rc *http.ResponseController) func([]byte) error {
	var set time.Time
	return func(line []byte) error {
		if now := time.Now(); now.Sub(set) > writeStall/16 {
			_ = rc.SetWriteDeadline(now.Add(writeStall))
			set = now
		}
		_, err := w.Write(line)
		return err
	}
}
