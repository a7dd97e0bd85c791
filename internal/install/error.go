// Package install is algo-install: it downloads a launch's bundle from its
// mothership, keeps the operator's configuration, and deploys the launch to a
// Kubernetes cluster through that cluster's private registry (DESIGN
// sections 5 and 6).
package install

import (
	"context"
	"errors"
	"fmt"
)

// Code is the exit code of a failure (DESIGN section 6).
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

// Error gives the message and the cause, and on lines of its own what to do.
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

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitCode is what the process ends with.
func (e *Error) ExitCode() int { return int(e.Code) }

func errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func wrap(err error, code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// codeOf gives the exit code that err carries, CodeFailed when it has none.
func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeFailed
}

// interrupted says how to go on after Ctrl-C; any other error stays.
func interrupted(ctx context.Context, err error, what string) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return errorf(CodeFailed, "%s was interrupted; run the same command again and it goes on where it stopped", what)
	}
	return err
}
