// Package constellation is the domain: its nouns, their rules and the one
// error type that every layer above speaks. It imports the standard library
// only.
package constellation

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind is the sort of failure that an Error is. Every surface (REST, registry,
// browser, command line) maps a Kind to its own status, and to nothing else.
type Kind string

// The kinds of failure.
const (
	KindInternal             Kind = "internal"              // 500
	KindMalformed            Kind = "malformed"             // 400: the request cannot be read
	KindInvalid              Kind = "invalid"               // 422: it reads, and breaks a rule; see Fields
	KindUnauthenticated      Kind = "unauthenticated"       // 401
	KindForbidden            Kind = "forbidden"             // 403
	KindNotFound             Kind = "not_found"             // 404
	KindConflict             Kind = "conflict"              // 409: a name is taken, a tag would move
	KindPreconditionFailed   Kind = "precondition_failed"   // 412: If-Match names another state
	KindPreconditionRequired Kind = "precondition_required" // 428: this server wants If-Match
	KindTooLarge             Kind = "too_large"             // 413
	KindUnsupportedMedia     Kind = "unsupported_media"     // 415
	KindRateLimited          Kind = "rate_limited"          // 429
	KindUnavailable          Kind = "unavailable"           // 503
)

// FieldError is what is wrong with one field of the input, and what to do.
type FieldError struct {
	Field   string // path in the input, such as "algorithms[1].vanity_url"
	Message string // one sentence for the user
}

// Error is the failure that users see. Message is one clear sentence: what is
// wrong, where, and what to do. The cause is for the log, never for a client.
type Error struct {
	Kind    Kind
	Message string
	Fields  []FieldError
	Err     error

	// RetryAfter is how long to wait before the same may work; 0 is not known.
	RetryAfter time.Duration
}

// Error returns the message with its cause, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Message)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Message)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error of a kind with a formatted message and no cause.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error of a kind around a cause that only the log shows.
func Wrap(err error, kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Err: err}
}

// KindOf returns the Kind of the first Error in err's chain, KindInternal for
// any other error and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}

// Validation collects field errors, so that a caller hears of all at once.
type Validation struct{ fields []FieldError }

// Add notes that field breaks a rule.
func (v *Validation) Add(field, format string, args ...any) {
	v.fields = append(v.fields, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

// Err returns nil, or one KindInvalid Error with every field noted.
func (v *Validation) Err() error {
	if len(v.fields) == 0 {
		return nil
	}
	message := v.fields[0].Message
	if len(v.fields) > 1 {
		message = fmt.Sprintf("%d fields need attention", len(v.fields))
	}
	return &Error{Kind: KindInvalid, Message: message, Fields: v.fields}
}
