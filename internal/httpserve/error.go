// Package httpserve is what every HTTP surface of the mothership shares: the
// answer to an error, middleware, start and shutdown.
package httpserve

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// RequestIDHeader carries the request's id, in the answer and to the log.
const RequestIDHeader = "X-Request-Id"

// answers say how each Kind is answered, and by which code of
// reference/algorithm-api.md section 3.
var answers = map[constellation.Kind]struct{ status, code int }{
	constellation.KindInternal:           {http.StatusInternalServerError, apiv1.CodeInternal},
	constellation.KindMalformed:          {http.StatusBadRequest, apiv1.CodeInvalidRequest},
	constellation.KindInvalid:            {http.StatusUnprocessableEntity, apiv1.CodeValidationError},
	constellation.KindUnauthenticated:    {http.StatusUnauthorized, apiv1.CodeBadKey},
	constellation.KindForbidden:          {http.StatusForbidden, apiv1.CodeUnauthorized},
	constellation.KindNotFound:           {http.StatusNotFound, apiv1.CodeNotFound},
	constellation.KindConflict:           {http.StatusConflict, apiv1.CodeNameTaken},
	constellation.KindPreconditionFailed: {http.StatusPreconditionFailed, apiv1.CodeInvalidRequest},
	constellation.KindTooLarge:           {http.StatusRequestEntityTooLarge, apiv1.CodeInvalidRequest},
	constellation.KindUnsupportedMedia:   {http.StatusUnsupportedMediaType, apiv1.CodeInvalidRequest},
	constellation.KindRateLimited:        {http.StatusTooManyRequests, apiv1.CodeInvalidRequest},
	constellation.KindUnavailable:        {http.StatusServiceUnavailable, apiv1.CodeInternal},
}

// Status gives the HTTP status that err is answered with.
func Status(err error) int {
	if answer, ok := answers[constellation.KindOf(err)]; ok {
		return answer.status
	}
	return http.StatusInternalServerError
}

// WithCode gives err another code than its Kind's; nil stays nil.
func WithCode(err error, code int) error {
	if err == nil {
		return nil
	}
	return &coded{err: err, code: code}
}

type coded struct {
	err  error
	code int
}

func (c *coded) Error() string { return c.err.Error() }
func (c *coded) Unwrap() error { return c.err }

// WriteError answers err in the API's form, {"error":{…}}. The cause goes to
// the log under the answer's id, never to the client.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	WriteErrorStatus(w, r, Status(err), err)
}

// WriteErrorStatus is WriteError with a status that no Kind has, such as 405.
func WriteErrorStatus(w http.ResponseWriter, r *http.Request, status int, err error) {
	body := apiv1.Error{ID: w.Header().Get(RequestIDHeader), Code: code(err), Message: "something went wrong on the server; its log says what, under this id"}
	if body.ID == "" {
		body.ID = rand.Text()
	}
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind != constellation.KindInternal {
		body.Message = e.Message
		for _, f := range e.Fields {
			body.Fields = append(body.Fields, apiv1.FieldError{Field: f.Field, Message: f.Message})
		}
	}
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		slog.ErrorContext(r.Context(), "request failed", "id", body.ID, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(apiv1.ErrorBody{Error: body}) // the client is gone: nobody to tell
}

func code(err error) int {
	var c *coded
	if errors.As(err, &c) {
		return c.code
	}
	if answer, ok := answers[constellation.KindOf(err)]; ok {
		return answer.code
	}
	return apiv1.CodeInternal
}
