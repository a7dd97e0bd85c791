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

// LoadChanges reads what was before and after the changes of events.
func (db *DB) LoadChanges(ctx context.Context, events []constellation.Event) error {
	type row struct {
		ID            int64
		Before, After []byte
	}
	rows, err := collect[row](ctx, db, "get changes of events", `
		SELECT id, before, after FROM events WHERE id = ANY (@ids::bigint[])`,
		pgx.NamedArgs{"ids": each(events, func(e *constellation.Event) int64 { return e.ID })})
	if err != nil {
		return err
	}
	changes := make(map[int64]row, len(rows))
	for _, r := range rows {
		changes[r.ID] = r
	}
	for i := range events {
		events[i].Before, events[i].After = changes[events[i].ID].Before, changes[events[i].ID].After
	}
	return nil
}

// Events returns a page of the audit log, without what was before and after:
// LoadChanges has it.
func (db *DB) Events(ctx context.Context, f EventFilter, l List) ([]constellation.Event, error) {
	return list[constellation.Event](ctx, db, "list events", listQuery{order: eventOrder, rows: selection{
		columns: `e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name,
			NULL::jsonb AS before, NULL::jsonb AS after, e.address`,
		from: `events e`,
		where: `(@actor = '' OR e.actor = @actor)
			AND (@action = '' OR e.action = @action)
			AND (@target_kind = '' OR e.target_kind = @target_kind)
			AND (@target_id = '' OR e.target_id = @target_id)
			AND (@since::timestamptz IS NULL OR e.at >= @since)
			AND (@until::timestamptz IS NULL OR e.at < @until)`,
	}, args: pgx.NamedArgs{
		"actor": f.Actor, "action": f.Action, "target_kind": f.TargetKind, "target_id": f.TargetID, "since": f.Since, "until": f.Until,
	}}, l)
}

// EventNames returns the names that satellites and API keys were last known by,
// by their ids: the log outlives what it speaks of.
func (db *DB) EventNames(ctx context.Context, ids []string) (map[string]string, error) {
	type row struct{ TargetID, TargetName string }
	rows, err := collect[row](ctx, db, "get names of events", `
		SELECT DISTINCT ON (target_kind, target_id) target_id, target_name
		FROM events
		WHERE target_kind IN ('satellite', 'api_key') AND target_id = ANY (@ids::text[])
		ORDER BY target_kind, target_id, at DESC, id DESC`, pgx.NamedArgs{"ids": ids})
	if err != nil {
		return nil, err
	}
	names := make(map[string]string, len(rows))
	for _, r := range rows {
		names[r.TargetID] = r.TargetName
	}
	return names, nil
}
