package auditstream

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Record is a row of the audit log as receivers see it.
type Record struct {
	Seq        int64           `json:"seq"`  // counts up without gaps
	Hash       string          `json:"hash"` // of the row and all before it
	ID         int64           `json:"id"`
	At         time.Time       `json:"at"`
	Actor      string          `json:"actor"`
	ActorKeyID string          `json:"actor_key_id,omitempty"`
	Action     string          `json:"action"`
	TargetKind string          `json:"target_kind"`
	TargetID   string          `json:"target_id"`
	TargetName string          `json:"target_name"`
	Before     json.RawMessage `json:"before,omitempty"`
	After      json.RawMessage `json:"after,omitempty"`
	Address    string          `json:"address,omitempty"`
}

func recordOf(r *constellation.AuditRecord) Record {
	return Record{
		Seq: r.Seq, Hash: hex.EncodeToString(r.Hash), ID: r.ID, At: r.At, Actor: r.Actor, ActorKeyID: r.ActorKeyID, Action: r.Action,
		TargetKind: r.TargetKind, TargetID: r.TargetID, TargetName: r.TargetName, Before: r.Before, After: r.After, Address: r.Address,
	}
}
