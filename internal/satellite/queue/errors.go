package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrFull says that there is no room: what was to be stored surely is not.
	ErrFull = errors.New("the queue is full")
	// ErrUnavailable says that no majority of the queue can be reached: what
	// was to be stored surely is not.
	ErrUnavailable = errors.New("the queue is not available")
	// ErrUnknown says that no answer came in time: what was to be stored may
	// have been, or may be later.
	ErrUnknown = errors.New("the queue did not answer in time: it may have stored this")
	// ErrNotFound says that no such message or record is there (any more).
	ErrNotFound = errors.New("not in the queue")
	// ErrConflict says that a record is there already, or has another revision.
	ErrConflict = errors.New("the record was changed by another")
	// ErrInvalid says that what was given cannot be stored as it is.
	ErrInvalid = errors.New("invalid")
)

// The server's error codes that something here depends on.
const (
	codeInsufficientResources = 10023
	codeStreamStoreFailed     = 10077
	codeMessageNotFound       = 10037
	codeSequenceNotFound      = 10043
	codeDeleteFailed          = 10057
	codeStreamNotFound        = 10059
	codeConsumerNotFound      = 10014
	codeWrongLastSequence     = 10071
	codeWrongLastConstant     = 10164
	codeMessageTooLarge       = 10054
)

// stored translates what came of storing something. Nothing counts as surely
// not stored but what the server refuses before it hands it to the others: a
// leader without a majority answers an error and may still store it later.
func stored(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("%w: nobody leads it", ErrUnavailable)
	case errors.Is(err, nats.ErrMaxPayload):
		return fmt.Errorf("%w: larger than the queue takes", ErrInvalid)
	case !errors.As(err, &api):
		return fmt.Errorf("%w (%w)", ErrUnknown, err)
	}
	switch api.ErrorCode {
	case codeInsufficientResources:
		return fmt.Errorf("%w: %s", ErrFull, api.Description)
	case codeStreamStoreFailed:
		// Only a limit is refused alike by all nodes; a disk that fails on one is not.
		if strings.HasPrefix(api.Description, "maximum ") {
			return fmt.Errorf("%w: %s", ErrFull, api.Description)
		}
	case codeWrongLastSequence, codeWrongLastConstant:
		return ErrConflict
	case codeMessageTooLarge:
		return fmt.Errorf("%w: larger than the queue takes", ErrInvalid)
	}
	return fmt.Errorf("%w (%w)", ErrUnknown, err)
}

// asked translates what came of a question or a change that can be repeated.
func asked(err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &api) && api.ErrorCode == codeMessageNotFound:
		return ErrNotFound
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}
