package protocol

import (
	"net/http"
	"time"
)

// RanOut is the message of a call that timed out or was killed.
const RanOut = "Failed to run algorithm - may have timed-out or hit out-of-memory error"

// Outcome is how a call ended. It is a label of metrics.
type Outcome int

// How a call can end.
const (
	OutcomeOK       Outcome = iota
	OutcomeError            // the algorithm raised
	OutcomeTimeout          // the call's time-out passed
	OutcomeLost             // the replica was lost, or its reply cannot be read
	OutcomeCanceled         // the caller went away
	OutcomeFull             // the queue, or the room for large bodies, was full: 429, 503
	OutcomeNone             // no replica was ready: 503
	OutcomeRefused          // the request was at fault: 4xx
	OutcomeFault            // the engine was at fault: 500
	Outcomes                // how many there are
)

var outcomeNames = [Outcomes]string{
	"ok", "algorithm_error", "timeout", "replica_lost", "canceled", "queue_full", "no_replica", "refused", "fault",
}

// String returns the outcome as metrics and logs have it.
func (o Outcome) String() string { return outcomeNames[o] }

// Failure is a call's error as its caller reads it. The cause stays in the log.
type Failure struct {
	Status     int // 200 for what happened to a well-formed request
	Outcome    Outcome
	Message    string
	ErrorType  string // "" leaves it out
	stacktrace string // "" leaves it out
	RetryAfter int    // seconds; 0 sends no header
	Allow      string // methods, with 405
	RequestID  string // of a durable call that may have been stored; "" leaves it out
	Cause      error  // for the log

	seconds time.Duration // the replica's own measure; 0 or less when unknown
	stdout  []byte        // a raw JSON string, or nil
}

// duration returns metadata.duration of a failed call.
func (f *Failure) duration(c *Call) time.Duration {
	if f.seconds > 0 {
		return f.seconds
	}
	return c.Run
}

// PlainStatus returns the failure's status where no client of the original
// platform, which wants 200 for what happened to a well-formed request, reads it.
func (f *Failure) PlainStatus() int {
	switch {
	case f.Status != http.StatusOK:
		return f.Status
	case f.Outcome == OutcomeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// Error returns the message, and the cause for the log.
func (f *Failure) Error() string {
	if f.Cause != nil {
		return f.Message + ": " + f.Cause.Error()
	}
	return f.Message
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Cause }

// Refuse returns the failure of a request that is at fault.
func Refuse(status int, message string) *Failure {
	return &Failure{Status: status, Outcome: OutcomeRefused, Message: message}
}

// raised returns the failure of a call whose algorithm raised an error.
func raised(errorType, message string) *Failure {
	return &Failure{Status: http.StatusOK, Outcome: OutcomeError, ErrorType: errorType, Message: message}
}

// TimedOut returns the failure of a call whose time-out passed.
func TimedOut() *Failure {
	return &Failure{Status: http.StatusOK, Outcome: OutcomeTimeout, ErrorType: "TimeoutError", Message: RanOut}
}

// Lost returns the failure of a call whose replica was lost.
func Lost(cause error) *Failure {
	return &Failure{Status: http.StatusOK, Outcome: OutcomeLost, ErrorType: "SystemError", Message: RanOut, Cause: cause}
}

// unreadable returns the failure of a call whose answer cannot be read.
func unreadable(message string) *Failure {
	return &Failure{Status: http.StatusOK, Outcome: OutcomeLost, ErrorType: "ParsingError", Message: message}
}

// NoRoomForReply returns the failure of a call that ran and whose reply could
// not be kept.
func NoRoomForReply() *Failure {
	return &Failure{
		Status: http.StatusOK, Outcome: OutcomeFull, ErrorType: "SystemError",
		Message: "the reply found no room in the engine: replies that this key's and other callers have not read yet fill it; read them faster, or make fewer calls at once",
	}
}

// TooLarge returns the failure of a call whose result is too large.
func TooLarge() *Failure {
	return raised("TooLargeError", "the result is larger than 15 MiB")
}
