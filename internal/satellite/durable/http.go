package durable

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/async"
	"github.com/constellation-serving/constellation/internal/satellite/batch"
	"github.com/constellation-serving/constellation/internal/satellite/callback"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Taking returns the session that takes new calls now, or why there is none.
func (s *Service) Taking(ctx context.Context) (*Session, *protocol.Failure) {
	d := s.Session()
	if d == nil {
		return nil, notOpen(": the call was not stored; try again later")
	}
	return d, d.drained(ctx)
}

// notOpen returns the failure of what is asked while the queue is not open.
func notOpen(so string) *protocol.Failure {
	return &protocol.Failure{
		Status: http.StatusServiceUnavailable, Outcome: protocol.OutcomeFull, RetryAfter: 2,
		Message: "the satellite's queue is not available" + so,
	}
}

// secretPath is where a key's owner reads the secret that its callbacks are
// signed with.
const secretPath = async.Path + "callback-secret"

// Answer answers a key's owner what became of calls. room is async.Caller's.
func (s *Service) Answer(r *http.Request, key *keyring.Key, room func(size int) error) (protocol.Reply, *protocol.Failure) {
	d := s.Session()
	switch {
	case d != nil && r.URL.Path == secretPath:
		body, err := json.Marshal(map[string]string{"secret": callback.FormatSecret(callback.SigningKey(d.secret, key.ID))})
		if err != nil || r.Method != http.MethodGet {
			return protocol.Reply{}, protocol.Refuse(http.StatusMethodNotAllowed, "the secret is read with GET")
		}
		return protocol.Reply{Status: http.StatusOK, ContentType: protocol.MediaJSON, Nosniff: true, Parts: [3][]byte{body}}, nil
	case d != nil:
		return d.Calls.Answer(r, async.Caller{KeyID: key.ID, May: key.May, Sees: key.Sees, Room: room}), nil
	case s.Settings() == nil:
		return protocol.Reply{}, protocol.Refuse(http.StatusNotFound, "this satellite has no queue, and so no asynchronous calls")
	}
	return protocol.Reply{}, notOpen("; ask again later")
}

// ServeBatch takes a key's batches, and answers what is asked of them. rest is
// what stands after batch.Path: a vanity URL, or a batch's ID and more. It has
// answered unless it returns a failure.
func (s *Service) ServeBatch(w http.ResponseWriter, r *http.Request, key *keyring.Key, rest string) *protocol.Failure {
	d := s.Session()
	switch {
	case d != nil:
	case s.Settings() == nil:
		return protocol.Refuse(http.StatusNotFound, "this satellite has no queue, and so no batches")
	default:
		return notOpen("; try again later")
	}
	caller := batch.Caller{KeyID: key.ID, May: key.May, Sees: key.Sees}
	if r.Method != http.MethodPost {
		return d.batches.Serve(w, r, caller, rest)
	}
	route, f := s.Table().Called(key, rest)
	if f == nil {
		f = route.RefusesDurable()
	}
	if f == nil {
		f = d.drained(r.Context())
	}
	if f != nil {
		return f
	}
	return d.batches.ServeUpload(w, r, caller, route.VanityURL)
}
