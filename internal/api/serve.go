package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

// call is one request on its way through Huma.
type call struct {
	control   *control.Service // on a transaction when the request must happen once
	principal control.Principal
	request   *http.Request
	err       error // why it failed, from a handler or from Huma's validation
}

type callKey struct{}

// callOf gives the call that serve put into ctx.
func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// serve is the one way into every operation: it finds out who asks, reads the
// body, runs the operation, and is where every error becomes an answer.
func (s *server) serve(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	answer := &recorder{}
	if err := s.answer(ctx.Operation(), r, answer, next); err != nil {
		if constellation.KindOf(err) == constellation.KindUnauthenticated {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		httpserve.WriteError(w, r, err)
		return
	}
	answer.writeTo(w)
}

func (s *server) answer(op *huma.Operation, r *http.Request, answer *recorder, next func(huma.Context)) error {
	principal, err := s.authenticate(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body) // in memory already: see capBody
	if err != nil {
		return err
	}
	if op.RequestBody != nil {
		if err := checkMediaType(r.Header.Get("Content-Type")); err != nil {
			return err
		}
		if err := checkJSON(body); err != nil {
			return err
		}
	}
	run := func(service *control.Service) error {
		*answer = recorder{header: http.Header{}}
		c := &call{control: service, principal: principal, request: r}
		request := r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		request.Body = io.NopCloser(bytes.NewReader(body))
		next(humachi.NewContext(op, request, answer))
		return listCode(c.err)
	}
	key := r.Header.Get("Idempotency-Key")
	if key == "" || op.Method != http.MethodPost {
		return run(s.control)
	}
	once := control.IdempotentRequest{Key: key, Method: r.Method, Path: r.URL.Path, BodyHash: sha256.Sum256(body)}
	stored, replayed, err := s.control.Idempotent(r.Context(), principal, once, func(service *control.Service) (*control.StoredResponse, error) {
		if err := run(service); err != nil {
			return nil, err
		}
		return answer.stored(), nil
	})
	if err != nil {
		return err
	}
	if stored == nil {
		return errors.New("a request with an Idempotency-Key has no answer")
	}
	answer.load(stored, replayed)
	return nil
}

// add is one line of a resource's table: what is answered where, who may ask,
// and the handler. pattern is METHOD PATH.
func add[I, O any](s *server, tag, pattern string, role constellation.Role, id, summary string, handler func(context.Context, *I) (*O, error)) {
	huma.Register(s.api, operation(s, tag, pattern, role, id, summary), func(ctx context.Context, in *I) (*O, error) {
		out, err := handler(ctx, in)
		if err != nil {
			callOf(ctx).err = err
		}
		return out, err
	})
}

// explain is Huma's transformer: it turns Huma's own failures into ours, for
// serve to answer.
func (s *server) explain(ctx huma.Context, _ string, v any) (any, error) {
	if model, ok := v.(*huma.ErrorModel); ok {
		if c := callOf(ctx.Context()); c.err == nil {
			c.err = s.explanation(ctx.Operation(), model)
		}
	}
	return v, nil
}

// recorder holds an answer until it is known to stand.
type recorder struct {
	status int
	header http.Header
	body   bytes.Buffer
}

// Header is part of http.ResponseWriter.
func (a *recorder) Header() http.Header { return a.header }

// WriteHeader is part of http.ResponseWriter.
func (a *recorder) WriteHeader(status int) { a.status = status }

// Write is part of http.ResponseWriter.
func (a *recorder) Write(p []byte) (int, error) { return a.body.Write(p) }

func (a *recorder) writeTo(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("Cache-Control", "no-store")
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body.Bytes()) // the client is gone: nobody to tell
}

func (a *recorder) stored() *control.StoredResponse {
	header := make(map[string]string, len(a.header))
	for name := range a.header {
		header[name] = a.header.Get(name)
	}
	return &control.StoredResponse{Status: a.status, Header: header, Body: a.body.Bytes()}
}

func (a *recorder) load(stored *control.StoredResponse, replayed bool) {
	*a = recorder{status: stored.Status, header: http.Header{}}
	for name, value := range stored.Header {
		a.header.Set(name, value)
	}
	if replayed {
		a.header.Set("Idempotent-Replayed", "true")
	}
	a.body.Write(stored.Body)
}
