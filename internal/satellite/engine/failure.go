package engine

import (
	"net/http"
	"time"
)

// ranOut is what the original says of a call that timed out or was killed.
const ranOut = "Failed to run algorithm - may have timed-out or hit out-of-memory error"

// outcome is how a call ended; a metric's label.
type outcome int

const (
	outcomeOK       outcome = iota
	outcomeError            // the algorithm raised
	outcomeTimeout          // the call's time-out passed
	outcomeLost             // the replica was lost, or its reply cannot be read
	outcomeCanceled         // the caller went away
	outcomeFull             // the queue was full: 429
	outcomeNone             // no replica was ready: 503
	outcomeRefused          // the request was at fault: 4xx
	outcomeFault            // the engine was at fault: 500
	outcomes
)

var outcomeNames = [outcomes]string{
	"ok", "algorithm_error", "timeout", "replica_lost", "canceled", "queue_full", "no_replica", "refused", "fault",
}

func (o outcome) String() string { return outcomeNames[o] }

// failure is a call's error as the caller reads it, and nothing of its cause.
type failure struct {
	status     int // 200 for what happened to a well-formed request
	outcome    outcome
	message    string
	errorType  string // "" leaves it out
	stacktrace string // "" leaves it out
	retryAfter int    // seconds; 0 sends no header
	allow      string // methods, with 405
	cause      error  // for the log

	seconds time.Duration // the replica's own measure; 0 or less when unknown
	stdout  []byte        // a raw JSON string, or nil
}

// duration is metadata.duration of a failed call.
func (f *failure) duration(c *call) time.Duration {
	if f.seconds > 0 {
		return f.seconds
	}
	return c.run
}

// Error gives the message, and the cause for the log.
func (f *failure) Error() string {
	if f.cause != nil {
		return f.message + ": " + f.cause.Error()
	}
	return f.message
}

// Unwrap gives the cause.
func (f *failure) Unwrap() error { return f.cause }

func refuse(status int, message string) *failure {
	return &failure{status: status, outcome: outcomeRefused, message: message}
}

func raised(errorType, message string) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeError, errorType: errorType, message: message}
}

func timedOut() *failure {
	return &failure{status: http.StatusOK, outcome: outcomeTimeout, errorType: "TimeoutError", message: ranOut}
}

func lost(cause error) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeLost, errorType: "SystemError", message: ranOut, cause: cause}
}

func unreadable(message string) *failure {
	return &failure{status: http.StatusOK, outcome: outcomeLost, errorType: "ParsingError", message: message}
}

func tooLarge() *failure {
	return raised("TooLargeError", "the result is larger than 15 MiB")
}
