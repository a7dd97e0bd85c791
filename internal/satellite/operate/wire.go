package operate

import (
	"context"
	"errors"
	"time"
)

// States of a queue.
const (
	StateOK          = "ok"
	StateDegraded    = "degraded"    // it takes calls, and a node is away or its disk nearly full
	StateUnreachable = "unreachable" // it takes none now
	StateOff         = "off"         // the satellite has none
)

// Status is how a satellite's queue does.
type Status struct {
	State    string `json:"state"`
	Reason   string `json:"reason,omitempty"` // why it is not ok
	Draining bool   `json:"draining"`         // no new calls are taken, since an operator said so
	Storage  string `json:"storage,omitempty"`
	// Used and Limit are the bytes that are and may be stored on each node.
	Used          int64       `json:"used_bytes"`
	Limit         int64       `json:"limit_bytes"`
	Waiting       uint64      `json:"waiting"`
	Running       uint64      `json:"running"`
	Dead          uint64      `json:"dead"`
	OldestSeconds int64       `json:"oldest_seconds"` // for how long the oldest that waits or runs has been there
	Nodes         []Node      `json:"nodes"`
	Algorithms    []Algorithm `json:"algorithms"`
	Lost          []Loss      `json:"lost"` // oldest first
}

// LostCalls returns how many accepted calls are unaccounted for.
func (s *Status) LostCalls() uint64 {
	var n uint64
	for _, l := range s.Lost {
		n += l.Calls
	}
	return n
}

// Node is one node of the queue.
type Node struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
	Free   int64  `json:"free_bytes,omitempty"`
	Total  int64  `json:"total_bytes,omitempty"`
}

// Algorithm is what the queue holds for one algorithm.
type Algorithm struct {
	VanityURL     string `json:"vanity_url"`
	Waiting       uint64 `json:"waiting"`
	Running       uint64 `json:"running"`
	Dead          uint64 `json:"dead"`
	OldestSeconds int64  `json:"oldest_seconds"`
}

// Loss says that the queue came back without what it held.
type Loss struct {
	At    time.Time `json:"at"`
	Calls uint64    `json:"calls"`
}

// DeadLetter is a call that was given up.
type DeadLetter struct {
	// ID names it to Retry and Drop: its request id, or another name of one that
	// cannot be read.
	ID        string    `json:"id"`
	VanityURL string    `json:"vanity_url"`
	Reason    string    `json:"reason"`
	Attempts  int       `json:"attempts"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	DiedAt    time.Time `json:"died_at"`

	// The rest is left out of lists.

	ContentType string `json:"content_type,omitempty"` // of the input
	InputBytes  int    `json:"input_bytes,omitempty"`
	Input       []byte `json:"input,omitempty"`
	LastStatus  int    `json:"last_status,omitempty"`
	LastOutput  []byte `json:"last_output,omitempty"`
}

// DeadLetters are the newest dead letters, and how many there are.
type DeadLetters struct {
	Items []DeadLetter `json:"dead_letters"`
	Total uint64       `json:"total"`
}

// Requests names dead letters.
type Requests struct {
	IDs []string `json:"request_ids"`
}

// BulkResult is the outcome of an action on several dead letters.
type BulkResult struct {
	Done   int         `json:"done"`
	Failed []ItemError `json:"left"`
}

// ItemError says why an action on several dead letters left one of them as it was.
type ItemError struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
}

// Drain says whether new calls are refused.
type Drain struct {
	On bool `json:"on"`
}

// Restored says how far a restore is.
type Restored struct {
	Next    uint64 `json:"next"`    // number of the item to go on with
	Added   uint64 `json:"added"`   // of those that were sent
	Skipped uint64 `json:"skipped"` // since they were there already, or had ended
}

// Errors of what answers; their texts are for operators.
var (
	// ErrNotFound says that something is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnavailable says that the queue cannot be asked now.
	ErrUnavailable = errors.New("the queue is not available")
	// ErrConflict says that somebody else is doing the same.
	ErrConflict = errors.New("somebody else is at it")
)

// Queue is the queue as its operator sees it.
type Queue interface {
	Status(ctx context.Context) Status
	// Drain refuses new calls in all engines, or takes them again.
	Drain(ctx context.Context, on bool) error
	// Backup hands everything that is stored to put, until that fails.
	Backup(ctx context.Context, put func(Item) error) error
	// Restore stores items of a backup, of which first is the number of the first.
	// Those that are there already are left alone.
	Restore(ctx context.Context, from Header, first uint64, items []Item) (Restored, error)
}

// DeadLetterStore keeps a queue's dead letters.
type DeadLetterStore interface {
	// List returns the newest, of one algorithm or with "" of all.
	List(ctx context.Context, vanityURL string, limit int) (DeadLetters, error)
	Show(ctx context.Context, id string) (DeadLetter, error)
	Retry(ctx context.Context, ids []string) (BulkResult, error)
	Drop(ctx context.Context, ids []string) (BulkResult, error)
}
