package async

import (
	"context"
	"errors"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// Input is one call that nobody waits for, as its caller sent it. Key and rights
// were checked when it was accepted.
type Input struct {
	RequestID   string
	VanityURL   string
	KeyID       string
	ContentType string
	Encoding    string // Content-Encoding
	Query       string // timeout, stdout, timing and output, as in a call's address
	Traceparent string
	Tracestate  string
	Body        []byte
}

// Outcome is how a run ended, with what a synchronous caller would have been
// answered.
type Outcome struct {
	Status      int
	ContentType string // "" when there is no body
	Body        []byte

	Ended     protocol.Outcome
	Message   string // of the error; "" when it went well
	ErrorType string
	Cause     string // of the error, for operators
	Replica   string // its address; "" when none had the call
	Run       time.Duration
	// Retry reports whether another run may end otherwise: no replica answered,
	// and it is not the algorithm that refused or raised.
	Retry bool

	release func()
}

// WithRelease returns the outcome with what gives the memory of its body back to
// a budget.
func (o Outcome) WithRelease(release func()) Outcome {
	o.release = release
	return o
}

// Release is called once the body is not used any more.
func (o *Outcome) Release() {
	if o.release != nil {
		o.release()
		o.release = nil
	}
}

// Reasons why a run is cut, as causes of its context.
var (
	// ErrCancelled ends a call for good: an http algorithm sees its connection
	// close, and a langserver's process is replaced.
	ErrCancelled = errors.New("the call was cancelled")
	// ErrStopping leaves a call to another engine.
	ErrStopping = errors.New("the engine stops")
)

// ErrUnknownAlgorithm is the error of a slot of an algorithm that is not served.
var ErrUnknownAlgorithm = errors.New("the satellite does not serve this algorithm")

// Runner makes calls through the pools that synchronous calls go through, in the
// class of durable ones.
type Runner interface {
	// Reserve waits for a slot of an algorithm until ctx ends, however long no
	// replica is ready. Looking says that it is not known yet whether there is a
	// call for it: replicas that follow the load do not follow such a wait. The
	// error is ErrUnknownAlgorithm or ctx's cause.
	Reserve(ctx context.Context, vanityURL string, looking bool) (Slot, error)
	// Run reserves a slot and runs the input on it. It returns when the run has
	// ended, or when ctx has: a run that ctx ends is cut.
	Run(ctx context.Context, in Input) Outcome
}

// Slot is room for one call on a replica.
type Slot interface {
	// Run is Runner.Run on this slot, which it releases.
	Run(ctx context.Context, in Input) Outcome
	// Release gives the slot back unused.
	Release()
}
