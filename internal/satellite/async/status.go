package async

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
	"github.com/constellation-serving/constellation/internal/satellite/queue"
)

// Path is what the addresses of durable calls begin with.
const Path = "/v1/async/"

// MaxWait is the longest wait for the end of a call that a request may ask for.
const MaxWait = 300 * time.Second

// Status is a durable call as its caller reads it.
type Status struct {
	RequestID  string    `json:"request_id"`
	Algorithm  string    `json:"algorithm"`
	VanityURL  string    `json:"vanity_url"`
	State      State     `json:"state"`
	Attempts   int       `json:"attempts"`
	Position   uint64    `json:"position,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Error      *Problem  `json:"error,omitempty"`
}

// Answer answers a request under Path. Of calls that its caller may not see it
// says the same as of none.
func (s *Service) Answer(r *http.Request, c Caller) protocol.Reply {
	id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, Path), "/")
	reply, f := s.answer(r, id, rest, &c)
	if f != nil {
		return protocol.ErrorReply(f)
	}
	return reply
}

func (s *Service) answer(r *http.Request, id, rest string, c *Caller) (protocol.Reply, *protocol.Failure) {
	if rest != "" && rest != "result" {
		return protocol.Reply{}, protocol.Refuse(http.StatusNotFound, "there is nothing here; a call's state is at "+Path+"ID and its result at "+Path+"ID/result")
	}
	cancels := r.Method == http.MethodDelete && rest == ""
	if !cancels && r.Method != http.MethodGet && r.Method != http.MethodHead {
		f := protocol.Refuse(http.StatusMethodNotAllowed, "a call's state is read with GET, and the call is cancelled with DELETE")
		f.Allow = "GET, HEAD, DELETE"
		return protocol.Reply{}, f
	}
	wait, f := readWait(r.URL.Query().Get("wait"))
	if f != nil {
		return protocol.Reply{}, f
	}
	at, f := s.locate(id, c.May)
	if f != nil {
		return protocol.Reply{}, f
	}
	if cancels {
		return s.cancel(r.Context(), at, c)
	}
	seen, f := s.await(r.Context(), at, wait, c)
	switch {
	case f != nil:
		return protocol.Reply{}, f
	case rest == "result":
		return s.result(r.Context(), at, seen, c)
	}
	return jsonReply(http.StatusOK, s.status(r.Context(), at, seen)), nil
}

func readWait(text string) (time.Duration, *protocol.Failure) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > int(MaxWait/time.Second) {
		return 0, protocol.Refuse(http.StatusBadRequest, "wait is a whole number of seconds from 0 to 300")
	}
	return time.Duration(n) * time.Second, nil
}

// callRef is a call that an id names.
type callRef struct {
	id        string
	ticket    Ticket
	position  Position
	vanityURL string
}

func (s *Service) locate(id string, may func(string) bool) (callRef, *protocol.Failure) {
	for _, a := range s.opts.Algorithms() {
		if !may(a.VanityURL) {
			continue
		}
		if ticket, place, ok := s.opts.IDs.Decode(id, a.VanityURL); ok {
			return callRef{id, ticket, place, a.VanityURL}, nil
		}
	}
	return callRef{}, unseen()
}

// await returns what is known of a call, once it has ended or wait is over.
func (s *Service) await(ctx context.Context, at callRef, wait time.Duration, c *Caller) (*record, *protocol.Failure) {
	deadline := time.Now().Add(wait)
	pause := 250 * time.Millisecond // signals are hints, and get lost
	for waits := false; ; {
		ended, forget := s.wait(at.ticket)
		seen, f := s.lookFor(ctx, at, c)
		left := time.Until(deadline)
		if f != nil || seen.State.Ended() || left <= 0 || s.taking.Err() != nil {
			forget()
			return seen, f
		}
		if !waits {
			if waits = s.waits.begin(c.KeyID); !waits {
				forget()
				return nil, tooManyWait()
			}
			defer s.waits.end(c.KeyID)
		}
		timer := time.NewTimer(min(pause, left))
		select {
		case <-ended:
		case <-timer.C:
			pause = min(2*pause, 5*time.Second)
		case <-ctx.Done():
			deadline = time.Now()
		case <-s.taking.Done():
		}
		timer.Stop()
		forget()
	}
}

// look returns what is known of a call: its record, perhaps without its body, or what
// follows from where it is in the queue.
func (s *Service) look(ctx context.Context, at callRef, room func(size int) error) (*record, *protocol.Failure) {
	for range 2 { // it may end between the two looks
		rec, _, err := s.recordHead(ctx, at.ticket, room)
		if errors.Is(err, errNoRoom) {
			return nil, noRoom(err)
		}
		if err != nil {
			return nil, s.unreadable(err)
		}
		if rec != nil {
			return rec, nil
		}
		waiting, err := s.waiting(ctx, at)
		if err != nil {
			return nil, s.unreadable(err)
		}
		if waiting != nil {
			return waiting, nil
		}
	}
	if at.position.After {
		return nil, protocol.Refuse(http.StatusNotFound, "the call was not stored, or its result's time is over; send it again")
	}
	return nil, s.over()
}

func (s *Service) over() *protocol.Failure {
	return protocol.Refuse(http.StatusGone, "results are kept for "+s.opts.Retention.String()+", and the time of this one is over")
}

// maxSearch is how many calls are looked at for one of which it is not known where
// it was stored.
const maxSearch = 1000

// waiting returns a record of a call that is in the queue and has none yet, nil
// when it is not there.
func (s *Service) waiting(ctx context.Context, at callRef) (*record, error) {
	var found *record
	n := 1
	if at.position.After {
		n = maxSearch
	}
	err := s.opts.Queue.PeekFrom(ctx, queue.KindCall, at.vanityURL, at.position.Seq, n, func(p *queue.Peeked) bool {
		if p.ID != at.ticket.String() {
			return true
		}
		found = &record{State: Queued, Seq: p.Seq, CreatedAt: p.Stored}
		if c, _, err := decodeCall(s.opts.IDs, at.vanityURL, p.Header, nil, s.now()); err == nil {
			found.Algorithm, found.CreatedAt, found.Callback, found.KeyID = c.Algorithm, c.CreatedAt, c.Callback, c.KeyID
		}
		return false
	})
	if err != nil || found == nil {
		return nil, err
	}
	if w := s.isActive(at.ticket); w != nil {
		found.State, found.Attempts, found.StartedAt = Running, w.attempt(), w.start.UTC()
	}
	return found, nil
}

func (s *Service) unreadable(err error) *protocol.Failure {
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: unavailableRetry, Cause: err,
		Message: "the satellite's queue is not available; ask again later",
	}
}

func noRoom(err error) *protocol.Failure {
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 1, Cause: err,
		Message: "the engine holds too many large results at once; ask again later",
	}
}

func (s *Service) status(ctx context.Context, at callRef, seen *record) *Status {
	st := &Status{
		RequestID: at.id, Algorithm: seen.Algorithm, VanityURL: at.vanityURL, State: seen.State, Attempts: seen.Attempts,
		CreatedAt: seen.CreatedAt, StartedAt: seen.StartedAt, FinishedAt: seen.FinishedAt, Error: seen.Error,
	}
	if st.State == Queued && seen.Attempts == 0 {
		switch position, err := s.opts.Queue.Position(ctx, queue.KindCall, at.vanityURL, seen.Seq); {
		case err == nil && position > 0:
			st.Position = position
		case err == nil: // another engine has it, and has not recorded that yet
			st.State, st.Attempts = Running, 1
		}
	}
	return st
}

// result answers with what the synchronous call would have been answered.
func (s *Service) result(ctx context.Context, at callRef, seen *record, c *Caller) (protocol.Reply, *protocol.Failure) {
	if seen.headOnly {
		rec, _, err := s.recordWithin(ctx, at.ticket, c.room)
		switch {
		case errors.Is(err, errNoRoom):
			return protocol.Reply{}, noRoom(err)
		case err != nil:
			return protocol.Reply{}, s.unreadable(err)
		case rec == nil:
			return protocol.Reply{}, s.over()
		}
		seen = rec
	}
	switch {
	case seen.State == Cancelled:
		return protocol.Reply{}, protocol.Refuse(http.StatusConflict, "the call was cancelled and has no result")
	case !seen.State.Ended():
		reply := jsonReply(http.StatusAccepted, s.status(ctx, at, seen))
		reply.RetryAfter = 1
		return reply, nil
	case seen.Status == 0:
		return protocol.Reply{}, &protocol.Failure{Status: http.StatusBadGateway, Outcome: protocol.OutcomeLost, Message: seen.Error.Message}
	}
	return protocol.Reply{Status: seen.Status, ContentType: seen.ContentType, Nosniff: true, Parts: [3][]byte{seen.body}}, nil
}

// StoredResult is the result of a call that has ended.
type StoredResult struct {
	State       State
	ContentType string
	Body        []byte
}

// Result returns the result of a call by its ticket, and reports false when it is
// not kept any more.
func (s *Service) Result(ctx context.Context, ticket string) (StoredResult, bool, error) {
	t, ok := parseTicket(ticket)
	if !ok {
		return StoredResult{}, false, nil
	}
	rec, _, err := s.record(ctx, t)
	if err != nil || rec == nil || !rec.State.Ended() {
		return StoredResult{}, false, err
	}
	kept := StoredResult{rec.State, rec.ContentType, rec.body}
	if rec.Status == 0 && rec.Error != nil {
		reply := protocol.ErrorReply(protocol.Refuse(http.StatusBadGateway, rec.Error.Message))
		defer reply.Release()
		kept.ContentType, kept.Body = reply.ContentType, bytes.Clone(reply.Parts[0])
	}
	return kept, true, nil
}

// StateOf returns the state of a call of an algorithm, "" when it is not known (any
// more).
func (s *Service) StateOf(ctx context.Context, id, vanityURL string) (State, error) {
	ticket, place, ok := s.opts.IDs.Decode(id, vanityURL)
	if !ok {
		return "", nil
	}
	seen, f := s.look(ctx, callRef{id, ticket, place, vanityURL}, func(int) error { return nil })
	switch {
	case f == nil:
		return seen.State, nil
	case f.Status == http.StatusNotFound || f.Status == http.StatusGone:
		return "", nil
	}
	return "", f
}

func jsonReply(status int, v any) protocol.Reply {
	body, err := json.Marshal(v)
	if err != nil {
		return protocol.ErrorReply(&protocol.Failure{Status: http.StatusInternalServerError, Message: "the answer cannot be written"})
	}
	return protocol.Reply{Status: status, ContentType: protocol.MediaJSON, Nosniff: true, Parts: [3][]byte{body}}
}
