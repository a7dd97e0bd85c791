package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var eventOrder = ordering{
	sorts:  map[string]column{"at": {"e.at", "timestamptz"}},
	id:     column{"e.id", "bigint"},
	search: "lower(e.target_name)",
}

// EventFilter narrows the audit log; "" and nil are everything.
type EventFilter struct {
	Actor, Action, TargetKind, TargetID string
	Since, Until                        *time.Time
}

// InsertEvent adds a row to the audit log.
func (db *DB) InsertEvent(ctx context.Context, e *constellation.Event) error {
	return db.exec(ctx, "insert event", `
		INSERT INTO events (at, actor, actor_key_id, action, target_kind, target_id, target_name, before, after, address)
		VALUES (@at, @actor, @actor_key_id, @action, @target_kind, @target_id, @target_name, @before::jsonb, @after::jsonb, @address)`,
		pgx.NamedArgs{
			"at": e.At, "actor": e.Actor, "actor_key_id": e.ActorKeyID, "action": e.Action, "target_kind": e.TargetKind,
			"target_id": e.TargetID, "target_name": e.TargetName, "before": e.Before, "after": e.After, "address": e.Address,
		})
}

// Events gives a page of the audit log.
func (db *DB) Events(ctx context.Context, f EventFilter, l List) ([]constellation.Event, error) {
	sql, args := eventOrder.page(`
		SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address
		FROM events e
		WHERE (@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until) /*page*/
		/*order*/`, l, pgx.NamedArgs{
		"actor": f.Actor, "action": f.Action, "target_kind": f.TargetKind, "target_id": f.TargetID, "since": f.Since, "until": f.Until,
	})
	return collect[constellation.Event](ctx, db, "list events", sql, args)
}
