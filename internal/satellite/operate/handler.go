package operate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Path is what the addresses of the routes begin with.
const Path = "/v1/queue/"

// Bounds of what is asked.
const (
	maxBody    = 64 << 10
	maxRestore = maxItem + 8<<20
	maxIDs     = 1000
	maxID      = 200
	// DefaultLimit and MaxLimit are of lists of dead letters.
	DefaultLimit = 100
	MaxLimit     = 1000
	askWithin    = time.Minute
)

// Options are what routes answer with.
type Options struct {
	Token string // the launch's; without one nobody is answered
	// Queue and DeadLetters return nil where the satellite has no queue.
	Queue       func() Queue
	DeadLetters func() DeadLetterStore
	// Starting reports whether there is to be a queue where there is none yet.
	Starting func() bool
	// Launch is written into backups.
	Launch func() string
	Log    *slog.Logger
	Now    func() time.Time
}

// routes answers an operator's requests.
type routes struct {
	Options
	challenger *challenger
	turns      chan struct{} // of what reads or writes all that is stored
}

// Handler returns what answers under Path.
func Handler(o Options) http.Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &routes{Options: o, challenger: newChallenger(o.Token, o.Now), turns: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+Path+"challenge", s.challenge)
	mux.HandleFunc("GET "+Path+"status", s.admitted(s.status))
	mux.HandleFunc("GET "+Path+"dead", s.admitted(s.listDead))
	mux.HandleFunc("GET "+Path+"dead/{id}", s.admitted(s.deadLetter))
	mux.HandleFunc("POST "+Path+"dead/retry", s.admitted(s.retry))
	mux.HandleFunc("POST "+Path+"dead/drop", s.admitted(s.drop))
	mux.HandleFunc("POST "+Path+"drain", s.admitted(s.drain))
	mux.HandleFunc("GET "+Path+"backup", s.admitted(s.backup))
	mux.HandleFunc("POST "+Path+"restore", s.admitted(s.restore))
	return mux
}

// refusal is an error with the status that it is answered with.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, format string, args ...any) error {
	return &refusal{status, fmt.Sprintf(format, args...)}
}

func (s *routes) challenge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	answer(w, http.StatusOK, struct {
		Challenge string `json:"challenge"`
	}{s.challenger.challenge()})
}

// admitted answers those who prove to know the token, and renders errors.
func (s *routes) admitted(f func(w http.ResponseWriter, r *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		err := error(refuse(http.StatusForbidden, "%v", errNoProof))
		if s.Token != "" {
			if err = s.challenger.admit(r); err != nil {
				err = refuse(http.StatusForbidden, "%v", err)
			} else {
				err = f(w, r)
			}
		}
		if err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *routes) fail(w http.ResponseWriter, r *http.Request, err error) {
	refused := &refusal{http.StatusInternalServerError, "the engine could not do this; its log says why"}
	switch {
	case errors.As(err, &refused):
	case errors.Is(err, ErrNotFound):
		refused = &refusal{http.StatusNotFound, err.Error()}
	case errors.Is(err, ErrConflict):
		refused = &refusal{http.StatusConflict, err.Error()}
	case errors.Is(err, ErrUnavailable):
		refused = &refusal{http.StatusServiceUnavailable, err.Error()}
	default:
		s.Log.Error("an operator's request", "path", r.URL.Path, "error", err)
	}
	answer(w, refused.status, struct {
		Error string `json:"error"`
	}{refused.text})
}

func answer(w http.ResponseWriter, status int, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		status, data = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(data, '\n'))
}

// body reads a request's body, which is the one that its sender meant.
func body(r *http.Request, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body broke off")
	case int64(len(data)) > limit:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body has more than %d bytes", limit)
	case digestOf(data) != r.Header.Get(digestHeader):
		return nil, refuse(http.StatusBadRequest, "the body is not the one that was signed")
	}
	return data, nil
}

func decode(r *http.Request, into any) error {
	data, err := body(r, maxBody)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "the body is not what this route takes: %v", err)
	}
	return nil
}

var errOff = &refusal{http.StatusNotFound, "this satellite has no queue: stage.queue is off, or its engine has not started one"}

func (s *routes) queue() (Queue, error) {
	if q := s.Queue(); q != nil {
		return q, nil
	}
	return nil, errOff
}

func (s *routes) deadLetters() (DeadLetterStore, error) {
	if l := s.DeadLetters(); l != nil {
		return l, nil
	}
	return nil, errOff
}

func (s *routes) status(w http.ResponseWriter, r *http.Request) error {
	status := Status{State: StateOff, Nodes: []Node{}, Algorithms: []Algorithm{}, Lost: []Loss{}}
	if s.Starting != nil && s.Starting() {
		status.State, status.Reason = StateUnreachable, "the engine has not opened it yet; its log says why"
	}
	if q := s.Queue(); q != nil {
		status = q.Status(r.Context())
	}
	answer(w, http.StatusOK, status)
	return nil
}

func (s *routes) listDead(w http.ResponseWriter, r *http.Request) error {
	l, err := s.deadLetters()
	if err != nil {
		return err
	}
	query, limit := r.URL.Query(), DefaultLimit
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MaxLimit {
			return refuse(http.StatusBadRequest, "limit is a whole number from 1 to %d", MaxLimit)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	list, err := l.List(ctx, query.Get("algorithm"), limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func checkID(id string) error {
	if id == "" || len(id) > maxID || strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return refuse(http.StatusBadRequest, "%q is no id of a dead letter", id[:min(len(id), 50)])
	}
	return nil
}

func (s *routes) deadLetter(w http.ResponseWriter, r *http.Request) error {
	l, err := s.deadLetters()
	if err != nil {
		return err
	}
	if err := checkID(r.PathValue("id")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), askWithin)
	defer cancel()
	letter, err := l.Show(ctx, r.PathValue("id"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, letter)
	return nil
}

func (s *routes) retry(w http.ResponseWriter, r *http.Request) error {
	return s.each(w, r, "retried", DeadLetterStore.Retry)
}

func (s *routes) drop(w http.ResponseWriter, r *http.Request) error {
	return s.each(w, r, "dropped", DeadLetterStore.Drop)
}

func (s *routes) each(w http.ResponseWriter, r *http.Request, what string, do func(DeadLetterStore, context.Context, []string) (BulkResult, error)) error {
	l, err := s.deadLetters()
	if err != nil {
		return err
	}
	var in Requests
	if err := decode(r, &in); err != nil {
		return err
	}
	if len(in.IDs) == 0 || len(in.IDs) > maxIDs {
		return refuse(http.StatusBadRequest, "request_ids has 1 to %d ids", maxIDs)
	}
	for _, id := range in.IDs {
		if err := checkID(id); err != nil {
			return err
		}
	}
	// It is done whether or not its sender waits.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askWithin)
	defer cancel()
	done, err := do(l, ctx, in.IDs)
	if err != nil {
		return err
	}
	s.Log.Info("an operator had dead letters "+what, "done", done.Done, "left", len(done.Failed))
	answer(w, http.StatusOK, done)
	return nil
}

func (s *routes) drain(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queue()
	if err != nil {
		return err
	}
	var in struct {
		On *bool `json:"on"`
	}
	if err := decode(r, &in); err != nil {
		return err
	}
	if in.On == nil {
		return refuse(http.StatusBadRequest, `the body says {"on":true} or {"on":false}`)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askWithin)
	defer cancel()
	if err := q.Drain(ctx, *in.On); err != nil {
		return err
	}
	s.Log.Info("an operator set whether new durable calls are refused", "refused", *in.On)
	answer(w, http.StatusOK, Drain{*in.On})
	return nil
}

// turn is taken by one at a time of what reads or writes all that is stored.
func (s *routes) turn() (end func(), err error) {
	select {
	case s.turns <- struct{}{}:
		return func() { <-s.turns }, nil
	default:
		return nil, refuse(http.StatusConflict, "a backup or restore runs already by this engine")
	}
}

func (s *routes) backup(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queue()
	if err != nil {
		return err
	}
	end, err := s.turn()
	if err != nil {
		return err
	}
	defer end()
	w.Header().Set("Content-Type", "application/octet-stream")
	out := NewWriter(w, NewHeader(s.Launch(), s.Now()))
	if err := q.Backup(r.Context(), out.Put); err != nil {
		if out.Begun() {
			// What was sent does not end as a backup does, and its reader sees that.
			s.Log.Error("a backup broke off", "error", err)
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Content-Type")
		return err
	}
	return out.Close()
}

func (s *routes) restore(w http.ResponseWriter, r *http.Request) error {
	q, err := s.queue()
	if err != nil {
		return err
	}
	first, err := strconv.ParseUint(r.URL.Query().Get("first"), 10, 63)
	if err != nil {
		return refuse(http.StatusBadRequest, "first is the number of the first item that is sent")
	}
	end, err := s.turn()
	if err != nil {
		return err
	}
	defer end()
	data, err := body(r, maxRestore)
	if err != nil {
		return err
	}
	header, items, err := readPart(data)
	if err != nil {
		return refuse(http.StatusBadRequest, "%v", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 4*askWithin)
	defer cancel()
	restored, err := q.Restore(ctx, header, first, items)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, restored)
	return nil
}
