package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// call is one request on its way to a handler.
type call struct {
	control   *control.Service // on a transaction when the request must happen once
	principal control.Principal
	request   *http.Request
	nulls     error // what of its body is null, which the schema lets pass where a field may be left out

	rest func(wait func() error) error // of a read: runs wait while others have its turn
}

type callKey struct{}

// callOf returns the call that serve put into ctx.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// handle runs the handler of an operation: it decodes body, which is whole and
// JSON, and encodes what the handler returns.
type handle func(ctx context.Context, r *http.Request, body []byte) (*response, error)

// add is one line of a resource's table: what is answered where, who may ask,
// and the handler. pattern is METHOD PATH.
func add[I, O any](s *server, tag, pattern string, role constellation.Role, id, summary string, handler func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, operation(s, tag, pattern, role, id, summary), handler) // describes it: see describer
	c := newCodec(s.describer.last, s.api.OpenAPI().Components.Schemas, reflect.TypeFor[I]())
	s.router.MethodFunc(c.op.Method, c.op.Path, s.serve(c, func(ctx context.Context, r *http.Request, body []byte) (*response, error) {
		var in I
		if err := c.decode(r, body, &in); err != nil {
			return nil, err
		}
		if nulls := callOf(ctx).nulls; nulls != nil {
			return nil, nulls
		}
		out, err := handler(ctx, &in)
		if err != nil {
			return nil, err
		}
		return c.encode(out)
	}))
}

// serve is the one way into every operation: it finds out who asks and whether
// they may, reads the body, runs the operation, and is where every error becomes an answer.
func (s *server) serve(c *codec, run handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, release, err := s.answer(c, w.Header(), r, run)
		defer release() // once the client has it
		if err != nil {
			if constellation.KindOf(err) == constellation.KindUnauthenticated {
				w.Header().Set("WWW-Authenticate", challenge)
			}
			httpserve.Refuse(w, r, func() { httpserve.WriteError(w, r, listReason(err)) })
			return
		}
		answer.writeTo(w, r)
	}
}

// answer runs an operation; release is never nil, and header is the answer's,
// also of one that is refused.
func (s *server) answer(c *codec, header http.Header, r *http.Request, run handle) (answer *response, release func(), err error) {
	release = func() {}
	principal, err := s.authenticate(r)
	if err != nil {
		return nil, release, s.limits.Stranger(r.Context(), header, httpserve.Address(r), r.Header.Get("Authorization") != "", err)
	}
	requests := s.limits.Take(r.Context(), ratelimit.Key, principal.KeyID)
	requests.Tell(header)
	if err := requests.Err(); err != nil {
		return nil, release, err
	}
	if principal.Scope != "" && c.op.OperationID != "getAccount" { // whoever has a key may ask whose it is
		return nil, release, principal.Allows(role(c.op))
	}
	if err := c.checkQuery(r.URL.Query()); err != nil {
		return nil, release, err
	}
	acquire := func() (err error) {
		if release, err = s.turns.acquire(r.Context(), principal); err != nil {
			release = func() {}
		}
		s.turns.tell(header, principal, requests)
		return err
	}
	rest := func(wait func() error) error {
		release()
		release = func() {}
		return errors.Join(wait(), acquire())
	}
	if c.op.Method == http.MethodGet {
		if err := acquire(); err != nil {
			return nil, release, err
		}
	}
	body, nulls, err := c.read(r, principal)
	if err != nil {
		return nil, release, err
	}
	runOn := func(service *control.Service) (*response, error) {
		ctx := context.WithValue(r.Context(), callKey{}, &call{control: service, principal: principal, request: r, nulls: nulls, rest: rest})
		return run(ctx, r, body)
	}
	if err := s.checkPrecondition(c, r); err != nil {
		return nil, release, err
	}
	if r.URL.Query().Get("dry_run") == "true" {
		answer, err = s.try(r.Context(), runOn)
		return answer, release, err
	}
	answer, err = s.once(c, r, principal, body, runOn)
	return answer, release, err
}

// once runs an operation, or returns what it was answered with before under the
// same Idempotency-Key.
func (s *server) once(c *codec, r *http.Request, principal control.Principal, body []byte, runOn func(*control.Service) (*response, error)) (*response, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" || c.op.Method != http.MethodPost {
		return runOn(s.control)
	}
	request := control.IdempotentRequest{Key: key, Method: r.Method, Path: r.URL.Path, BodyHash: sha256.Sum256(body)}
	stored, replayed, err := s.control.Idempotent(r.Context(), principal, request, func(service *control.Service) (*control.StoredResponse, error) {
		answer, err := runOn(service)
		if err != nil {
			return nil, err
		}
		return answer.stored(), nil
	})
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, errors.New("a request with an Idempotency-Key has no answer")
	}
	return load(stored, replayed), nil
}

// read reads the body of a request, where the operation has one, of whom it is
// for: what it returns is JSON. nulls is the error of what is null in it.
func (c *codec) read(r *http.Request, principal control.Principal) (body []byte, nulls, err error) {
	if c.body == nil {
		return nil, nil, nil
	}
	if err := principal.Allows(role(c.op)); err != nil {
		return nil, nil, err
	}
	if body, err = readBody(r); err != nil {
		return nil, nil, err
	}
	if err := checkMediaType(r.Header.Get("Content-Type")); err != nil {
		return nil, nil, err
	}
	nulls, err = checkJSON(body, jsonRules{isNumber: c.isNumber})
	return body, nulls, err
}

// response is an answer that stands.
type response struct {
	status int
	header http.Header
	body   []byte
	stream streamed // in place of body
}

// length returns about how many bytes the body has.
func (a *response) length() int {
	if a.stream != nil {
		return a.stream.length()
	}
	return len(a.body)
}

func (a *response) writeBody(w io.Writer) {
	if a.stream != nil {
		_ = a.stream.writeBody(w) // its rows are encoded already: the client is gone
		return
	}
	_, _ = w.Write(a.body) //nolint:gosec // it is JSON and says so; the client is gone: nobody to tell
}

func (a *response) writeTo(w http.ResponseWriter, r *http.Request) {
	packed := a.compresses(r)
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Cache-Control", "no-store")
	if packed {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(a.status)
	if packed {
		compress(w, a.writeBody)
		return
	}
	a.writeBody(w)
}

func (a *response) stored() *control.StoredResponse {
	header := make(map[string]string, len(a.header))
	for name := range a.header {
		header[name] = a.header.Get(name)
	}
	return &control.StoredResponse{Status: a.status, Header: header, Body: a.body}
}

func load(stored *control.StoredResponse, replayed bool) *response {
	a := &response{status: stored.Status, header: http.Header{}, body: stored.Body}
	for name, value := range stored.Header {
		a.header.Set(name, value)
	}
	if replayed {
		a.header.Set("Idempotent-Replayed", "true")
	}
	return a
}
