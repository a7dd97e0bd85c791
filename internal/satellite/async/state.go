package async

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// State is where a call is, as its caller reads it.
type State string

// The states. Nothing follows Succeeded, Failed, Dead and Cancelled.
const (
	Queued    State = "queued"
	Running   State = "running"
	Succeeded State = "succeeded" // its result is kept
	Failed    State = "failed"    // the algorithm raised, refused the input or ran out of time
	Dead      State = "dead"      // it was tried as often as it may be
	Cancelled State = "cancelled" // its caller ended it
)

// Ended reports whether nothing follows the state.
func (s State) Ended() bool {
	return s == Succeeded || s == Failed || s == Dead || s == Cancelled
}

// Problem is a call's error as its caller reads it.
type Problem struct {
	Message   string `json:"message"`
	ErrorType string `json:"error_type,omitempty"`
}

// recordVersion is that of records and messages; a reader refuses any other.
const recordVersion = 1

// call is what is stored of a call when it is accepted, beside its body.
type call struct {
	Version     int       `json:"v"`
	Ticket      string    `json:"ticket"`
	Algorithm   string    `json:"algorithm"` // OWNER/NAME/HASH, when it was accepted
	KeyID       string    `json:"key_id"`
	ContentType string    `json:"content_type"`
	Encoding    string    `json:"content_encoding,omitempty"`
	Query       string    `json:"query,omitempty"`
	Traceparent string    `json:"traceparent,omitempty"`
	Tracestate  string    `json:"tracestate,omitempty"`
	Callback    string    `json:"callback_url,omitempty"`
	CreatedAt   time.Time `json:"created_at"`
}

// callHeader is the message's header that holds the call.
const callHeader = "Call"

// Bounds of what is stored beside a body.
const (
	maxField = 4 << 10
	maxSkew  = 24 * time.Hour // of another engine's clock
)

func (c *call) encode() (map[string]string, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("write the call: %w", err)
	}
	return map[string]string{callHeader: string(data)}, nil
}

// decodeCall reads and validates a stored call of an algorithm. Its error is one
// sentence for the operator.
func decodeCall(m *IDCodec, vanityURL string, header map[string]string, body []byte, now time.Time) (*call, Ticket, error) {
	text, ok := header[callHeader]
	if !ok {
		return nil, Ticket{}, errors.New("it has no header " + callHeader)
	}
	c := new(call)
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, Ticket{}, fmt.Errorf("its header cannot be read: %w", err)
	}
	ticket, ok := parseTicket(c.Ticket)
	switch {
	case c.Version != recordVersion:
		return nil, Ticket{}, fmt.Errorf("its form is %d, and this engine reads %d", c.Version, recordVersion)
	case !ok || !m.Owns(ticket, vanityURL):
		return nil, Ticket{}, errors.New("its ticket is none of this algorithm's")
	case c.CreatedAt.IsZero() || c.CreatedAt.After(now.Add(maxSkew)):
		return nil, ticket, errors.New("the time when it was accepted cannot be")
	case len(body) > protocol.MaxInput:
		return nil, ticket, fmt.Errorf("its input has %d bytes, and an input has %d at most", len(body), protocol.MaxInput)
	case c.KeyID == "":
		return nil, ticket, errors.New("it does not say whose key made it")
	}
	for _, field := range []string{c.Algorithm, c.KeyID, c.ContentType, c.Encoding, c.Query, c.Callback, c.Traceparent, c.Tracestate} {
		if len(field) > maxField {
			return nil, ticket, errors.New("a part of its header is too long")
		}
	}
	return c, ticket, nil
}

// record is what is kept of a call that ran or was ended: its state, and once it
// ended the answer.
type record struct {
	Version         int       `json:"v"`
	State           State     `json:"state"`
	Algorithm       string    `json:"algorithm"`
	Seq             uint64    `json:"seq"`
	Attempts        int       `json:"attempts"`
	ExcusedAttempts int       `json:"forgiven,omitempty"` // deliveries that were no attempt
	CreatedAt       time.Time `json:"created_at"`
	StartedAt       time.Time `json:"started_at,omitzero"` // of the last attempt
	FinishedAt      time.Time `json:"finished_at,omitzero"`
	Error           *Problem  `json:"error,omitempty"`
	Callback        string    `json:"callback_url,omitempty"`
	KeyID           string    `json:"key_id,omitempty"`

	// Status and ContentType are the answer's; its body follows the record.
	Status      int    `json:"status,omitempty"`
	ContentType string `json:"content_type,omitempty"`
	body        []byte
	headOnly    bool // its body was not read
}

// encode returns the record's JSON on a line, and the body behind it.
func (r *record) encode() ([]byte, error) {
	r.Version = recordVersion
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the call's record: %w", err)
	}
	return append(append(data, '\n'), r.body...), nil
}

func decodeRecord(data []byte) (*record, error) {
	line, body, ok := bytes.Cut(data, []byte("\n"))
	r := new(record)
	switch err := json.Unmarshal(line, r); {
	case err != nil:
		return nil, fmt.Errorf("read the call's record: %w", err)
	case !ok || r.Version != recordVersion:
		return nil, fmt.Errorf("read the call's record: its form is %d, and this engine reads %d", r.Version, recordVersion)
	}
	switch r.State {
	case Queued, Running, Succeeded, Failed, Dead, Cancelled:
	default:
		return nil, fmt.Errorf("read the call's record: there is no state %q", r.State)
	}
	r.body = body
	return r, nil
}

// DeadLetter is a call that was tried as often as it may be, or that cannot be
// read at all. It has what is needed to try it again.
type DeadLetter struct {
	RequestID string            `json:"request_id,omitempty"` // "" when the message cannot be read
	VanityURL string            `json:"vanity_url"`
	Reason    string            `json:"reason"`
	Attempts  int               `json:"attempts"`
	CreatedAt time.Time         `json:"created_at,omitzero"`
	DiedAt    time.Time         `json:"died_at"`
	Header    map[string]string `json:"header"` // of the message

	Input      []byte `json:"input"`
	LastStatus int    `json:"last_status,omitempty"`
	LastOutput []byte `json:"last_output,omitempty"` // at most 64 KiB
}

// maxLastOutput bounds what a dead letter keeps of the last answer.
const maxLastOutput = 64 << 10

// HasEnded reports whether a value of queue.BucketCall is of a call that has ended.
func HasEnded(value []byte) bool {
	r, err := decodeRecord(value)
	return err == nil && r.State.Ended()
}
