package queue

import (
	"context"
	"slices"
	"time"
)

// Loss is accepted work that a queue came back without.
type Loss struct {
	At time.Time `json:"at"`
	// Calls is how many accepted calls are unaccounted for.
	Calls uint64 `json:"calls"`
	// Incarnation is the queue's that was lost.
	Incarnation string `json:"incarnation"`
	// Observed is as of when Calls was known, and LastSeq the highest number given
	// to a message then; to it each engine adds what it did since.
	Observed time.Time `json:"observed,omitzero"`
	LastSeq  uint64    `json:"last_seq,omitempty"`
	// Erased are the ids of what nodes erased of damaged disks, where that is the
	// loss: the queue of this incarnation goes on.
	Erased []string `json:"erased,omitempty"`
}

// MarkerState is what is remembered of a queue outside of it.
type MarkerState struct {
	// Incarnation is made up when the queue's streams are made. A queue with
	// another, or none, is not the one that calls were accepted by.
	Incarnation string `json:"incarnation"`
	// Made says that the streams of this incarnation were all made once.
	Made bool `json:"made"`
	// Outstanding is how many calls were accepted and not ended, as of Observed.
	Outstanding uint64 `json:"outstanding"`
	// LastSeq is the highest number given to a message, as of Observed. A
	// queue of this incarnation that is behind it has lost some.
	LastSeq  uint64    `json:"last_seq,omitempty"`
	Observed time.Time `json:"observed"`
	Losses   []Loss    `json:"losses,omitempty"`
	// Version is the store's, to see whether another saved meanwhile.
	Version string `json:"-"`
}

// maxLosses is how many losses are remembered. Older ones are summed up in the first.
const maxLosses = 20

// Marker remembers a queue's incarnation where the queue's own loss does not
// reach it. There are two implementations: in the cluster, and in tests.
type Marker interface {
	// Load returns the zero state when nothing was ever saved.
	Load(ctx context.Context) (MarkerState, error)
	// Save returns ErrConflict when what is saved is not of state.Version.
	Save(ctx context.Context, state MarkerState) error
}

// lastLost returns the incarnation that was lost last, "" for none.
func (s *MarkerState) lastLost() string {
	for _, l := range slices.Backward(s.Losses) {
		if len(l.Erased) == 0 {
			return l.Incarnation
		}
	}
	return ""
}

func (s *MarkerState) lose(l Loss) {
	s.Losses = append(s.Losses, l)
	if over := len(s.Losses) - maxLosses; over > 0 {
		for _, old := range s.Losses[:over] {
			s.Losses[over].Calls += old.Calls
		}
		s.Losses = s.Losses[over:]
	}
}
