// Package httpserve is what every HTTP surface of the mothership shares: the
// answer to an error, middleware, start and shutdown.
package httpserve

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// RequestIDHeader carries the request's id, in the answer and to the log.
const RequestIDHeader = "X-Request-Id"

// reasons maps each reason to its HTTP status and to its numeric code, which older
// clients read.
var reasons = map[apiv1.Reason]struct{ status, code int }{
	apiv1.ReasonBadKey:               {http.StatusUnauthorized, apiv1.CodeBadKey},
	apiv1.ReasonBadLimit:             {http.StatusBadRequest, apiv1.CodeBadLimit},
	apiv1.ReasonBadMarker:            {http.StatusBadRequest, apiv1.CodeBadMarker},
	apiv1.ReasonConflict:             {http.StatusConflict, apiv1.CodeNameTaken},
	apiv1.ReasonForbidden:            {http.StatusForbidden, apiv1.CodeUnauthorized},
	apiv1.ReasonInternal:             {http.StatusInternalServerError, apiv1.CodeInternal},
	apiv1.ReasonInvalidRequest:       {http.StatusBadRequest, apiv1.CodeInvalidRequest},
	apiv1.ReasonMalformedJSON:        {http.StatusBadRequest, apiv1.CodeMalformedJSON},
	apiv1.ReasonMethodNotAllowed:     {http.StatusMethodNotAllowed, apiv1.CodeInvalidRequest},
	apiv1.ReasonNameTaken:            {http.StatusConflict, apiv1.CodeNameTaken},
	apiv1.ReasonNoKey:                {http.StatusUnauthorized, apiv1.CodeUnauthorized},
	apiv1.ReasonNotFound:             {http.StatusNotFound, apiv1.CodeNotFound},
	apiv1.ReasonPreconditionFailed:   {http.StatusPreconditionFailed, apiv1.CodeInvalidRequest},
	apiv1.ReasonPreconditionRequired: {http.StatusPreconditionRequired, apiv1.CodeInvalidRequest},
	apiv1.ReasonRateLimited:          {http.StatusTooManyRequests, apiv1.CodeInvalidRequest},
	apiv1.ReasonTooLarge:             {http.StatusRequestEntityTooLarge, apiv1.CodeInvalidRequest},
	apiv1.ReasonUnavailable:          {http.StatusServiceUnavailable, apiv1.CodeInternal},
	apiv1.ReasonUnsupportedMedia:     {http.StatusUnsupportedMediaType, apiv1.CodeInvalidRequest},
	apiv1.ReasonUserNotFound:         {http.StatusNotFound, apiv1.CodeUserNotFound},
	apiv1.ReasonUsernameTaken:        {http.StatusConflict, apiv1.CodeUsernameTaken},
	apiv1.ReasonValidation:           {http.StatusUnprocessableEntity, apiv1.CodeValidationError},
}

// kinds are the reasons of errors that nobody gave another: see WithReason.
var kinds = map[constellation.Kind]apiv1.Reason{
	constellation.KindInternal:             apiv1.ReasonInternal,
	constellation.KindMalformed:            apiv1.ReasonInvalidRequest,
	constellation.KindInvalid:              apiv1.ReasonValidation,
	constellation.KindUnauthenticated:      apiv1.ReasonBadKey,
	constellation.KindForbidden:            apiv1.ReasonForbidden,
	constellation.KindNotFound:             apiv1.ReasonNotFound,
	constellation.KindConflict:             apiv1.ReasonConflict,
	constellation.KindPreconditionFailed:   apiv1.ReasonPreconditionFailed,
	constellation.KindPreconditionRequired: apiv1.ReasonPreconditionRequired,
	constellation.KindTooLarge:             apiv1.ReasonTooLarge,
	constellation.KindUnsupportedMedia:     apiv1.ReasonUnsupportedMedia,
	constellation.KindRateLimited:          apiv1.ReasonRateLimited,
	constellation.KindUnavailable:          apiv1.ReasonUnavailable,
}

// Status returns the HTTP status that err is answered with.
func Status(err error) int { return reasons[reasonOf(err)].status }

// CodeOf returns the code that a reason is answered with.
func CodeOf(reason apiv1.Reason) int { return reasons[reason].code }

// Reasons are all that an error can be answered with, in order.
func Reasons() []apiv1.Reason { return slices.Sorted(maps.Keys(reasons)) }

// WithReason wraps err with another reason than its Kind's; nil stays nil.
func WithReason(err error, reason apiv1.Reason) error {
	if err == nil {
		return nil
	}
	return &reasoned{err: err, reason: reason}
}

type reasoned struct {
	err    error
	reason apiv1.Reason
}

func (r *reasoned) Error() string { return r.err.Error() }
func (r *reasoned) Unwrap() error { return r.err }

// reasonOf is what WithReason said, or else what the Kind says. A conflict that
// names a field is over what somebody else has in it.
func reasonOf(err error) apiv1.Reason {
	var r *reasoned
	if errors.As(err, &r) {
		return r.reason
	}
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind == constellation.KindConflict && len(e.Fields) > 0 {
		return apiv1.ReasonNameTaken
	}
	if known, ok := kinds[constellation.KindOf(err)]; ok {
		return known
	}
	return apiv1.ReasonInternal
}

// TellRetry puts into the header of an answer of a status after how many seconds to try
// again, where that may help: what err says, or one.
func TellRetry(h http.Header, status int, err error) {
	if status != http.StatusServiceUnavailable && status != http.StatusTooManyRequests {
		return
	}
	var e *constellation.Error
	switch {
	case errors.As(err, &e) && e.RetryAfter > 0:
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	case h.Get("Retry-After") == "":
		h.Set("Retry-After", "1")
	}
}

// WriteError answers err in the API's form, {"error":{…}}. The cause goes to
// the log under the answer's id, never to the client.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	writeError(w, r, err, slog.LevelError)
}

// writeError is WriteError with the level that a failure of ours is logged at.
func writeError(w http.ResponseWriter, r *http.Request, err error, level slog.Level) {
	why := reasonOf(err)
	status := reasons[why].status
	body := apiv1.Error{
		ID: w.Header().Get(RequestIDHeader), TraceID: tracing.ID(r.Context()), Code: reasons[why].code, Reason: why,
		Message: "something went wrong on the server; its log says what, under this id",
	}
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
		slog.Log(r.Context(), level, "request failed", "id", body.ID, "method", r.Method, "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	TellRetry(w.Header(), status, err)
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(apiv1.ErrorBody{Error: body}) // the client is gone: nobody to tell
}
