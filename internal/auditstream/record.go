package auditstream

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Event is a row of the audit log in JSON, outside of the REST API: as it is
// exported and sent.
type Event struct {
	ID         int64           `json:"id"`
	At         time.Time       `json:"at"`
	Actor      string          `json:"actor"`
	ActorKeyID string          `json:"actor_key_id,omitempty"`
	Action     string          `json:"action"`
	TargetKind string          `json:"target_kind"`
	TargetID   string          `json:"target_id"`
	TargetName string          `json:"target_name"`
	Address    string          `json:"address,omitempty"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
}

// Record is a row of the audit log as receivers see it.
type Record struct {
	Seq  int64  `json:"seq"`  // counts up without gaps
	Hash string `json:"hash"` // of the row and all before it
	Event
}

// EventOf returns an event as it is exported and sent.
func EventOf(e *constellation.Event) Event {
	return Event{
		ID: e.ID, At: e.At.UTC(), Actor: e.Actor, ActorKeyID: e.ActorKeyID, Action: e.Action, TargetKind: e.TargetKind, TargetID: e.TargetID,
		TargetName: e.TargetName, Address: e.Address, Before: e.Before, After: e.After,
	}
}

func recordOf(r *constellation.AuditRecord) Record {
	return Record{Seq: r.Seq, Hash: hex.EncodeToString(r.Hash), Event: EventOf(&r.Event)}
}
