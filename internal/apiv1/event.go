package apiv1

import (
	"encoding/json"
	"time"
)

// Event is one row of the audit log: who did what to what, when. Before and
// After never hold a secret.
type Event struct {
	ID         int64           `json:"id"`
	At         time.Time       `json:"at"`
	Actor      string          `json:"actor" doc:"A username, or system." example:"neo"`
	ActorKeyID *string         `json:"actor_key_id" doc:"The key that was used; null when there was none."`
	Action     string          `json:"action" example:"satellite.create"`
	TargetKind string          `json:"target_kind" example:"satellite"`
	TargetID   string          `json:"target_id"`
	TargetName string          `json:"target_name" example:"Edge Berlin"`
	Before     json.RawMessage `json:"before,omitempty" doc:"The thing before, with expand=changes; left out on creation."`
	After      json.RawMessage `json:"after,omitempty" doc:"The thing after, with expand=changes; left out on removal."`
	Address    *string         `json:"address" doc:"The caller's network address; null from a shell."`
}
