package fault

import (
	"context"
	"errors"
	"fmt"
)

// Code is the exit code of a failure.
type Code int

// The exit codes; 0 is done.
const (
	CodeFailed    Code = 1
	CodeUsage     Code = 2
	CodePending   Code = 3 // a diff found changes
	CodePreflight Code = 4
	CodeIntegrity Code = 5
	CodeAuth      Code = 6
	CodeNetwork   Code = 7
	CodeTimeout   Code = 8
)

// Error is a failure with its exit code. Message is one clear sentence; Err,
// when there is one, is the cause and reads on from it; Next, when there is
// one, says what to do.
type Error struct {
	Code    Code
	Message string
	Err     error
	Next    string
}

// Error returns the message and the cause, and on lines of its own what to do.
func (e *Error) Error() string {
	text := e.Message
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Next != "" {
		text += "\n" + e.Next
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode returns what the process ends with.
func (e *Error) ExitCode() int { return int(e.Code) }

// Errorf returns an error with an exit code and a message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error with an exit code, a message and err as its cause.
func Wrap(err error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// CodeOf returns the exit code that err carries, CodeFailed when it has none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeFailed
}

// Interrupted returns how to go on after Ctrl-C in place of err; any other error
// stays.
func Interrupted(ctx context.Context, err error, what string) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return Errorf(CodeFailed, "%s was interrupted; run the same command again and it goes on where it stopped", what)
	}
	return err
}

// damagedError is the error of bytes that are not those that their digest names.
type damagedError struct{ error }

// Unwrap returns the error with its exit code.
func (d damagedError) Unwrap() error { return d.error }

// Damaged marks err as one of bytes that are not those that their digest names.
func Damaged(err error) error { return damagedError{err} }

// IsDamaged reports whether err was marked by [Damaged].
func IsDamaged(err error) bool { return errors.As(err, new(damagedError)) }
