package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var destinationOrder = ordering{
	sorts: map[string]column{
		"name":       {"d.name_key", "text"},
		"created_at": {"d.created_at", "timestamptz"},
	},
	id:     column{"d.id", "uuid"},
	search: "d.name_key",
}

const destinationColumns = `d.id, d.name, d.kind, d.address, d.disabled, d.disabled_why, d.failing_since, d.next_try_at, d.created_at, d.created_by, d.updated_at, d.updated_by`

// Destinations returns a page of where people are told.
func (db *DB) Destinations(ctx context.Context, l List) ([]constellation.Destination, error) {
	return list[constellation.Destination](ctx, db, "list destinations", listQuery{order: destinationOrder, rows: selection{
		columns: destinationColumns, from: `notification_destinations d`,
	}}, l)
}

func noDestination(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no destination %q", id)
}

// Destination returns a destination by its id.
func (db *DB) Destination(ctx context.Context, id string) (*constellation.Destination, error) {
	return collectOne[constellation.Destination](ctx, db, "get destination", `
		SELECT `+destinationColumns+` FROM notification_destinations d WHERE d.id = @id`, pgx.NamedArgs{"id": id}, noDestination(id))
}

// DestinationSealed returns what lets one post to a destination, sealed.
func (db *DB) DestinationSealed(ctx context.Context, id string) ([]byte, error) {
	found, err := collectOne[struct{ Sealed []byte }](ctx, db, "get sealed destination", `
		SELECT sealed FROM notification_destinations WHERE id = @id`, pgx.NamedArgs{"id": id}, noDestination(id))
	if err != nil {
		return nil, err
	}
	return found.Sealed, nil
}

// CountDestinations returns how many there are, and holds others from adding one until
// the transaction ends.
func (db *DB) CountDestinations(ctx context.Context) (int, error) {
	if err := db.Lock(ctx, "notification destinations"); err != nil {
		return 0, err
	}
	return scalar[int](ctx, db, "count destinations", `SELECT count(*)::int FROM notification_destinations`, nil)
}

// InsertDestination adds a destination.
func (db *DB) InsertDestination(ctx context.Context, d *constellation.Destination, sealed []byte) error {
	return db.exec(ctx, "insert destination", `
		INSERT INTO notification_destinations (id, name, name_key, kind, address, sealed, disabled, created_at, created_by, updated_at, updated_by)
		VALUES (@id, @name, @key, @kind, @address, @sealed, @disabled, @at, @by, @at, @by)`,
		pgx.NamedArgs{
			"id": d.ID, "name": d.Name, "key": constellation.Fold(d.Name), "kind": d.Kind, "address": d.Address, "sealed": sealed,
			"disabled": d.Disabled, "at": d.CreatedAt, "by": d.CreatedBy,
		})
}

// UpdateDestination changes a destination, which counts as well from then on. Sealed
// nil leaves what lets one post there.
func (db *DB) UpdateDestination(ctx context.Context, d *constellation.Destination, sealed []byte) error {
	return db.execOne(ctx, "update destination", `
		UPDATE notification_destinations SET name = @name, name_key = @key, address = @address, sealed = coalesce(@sealed, sealed),
			disabled = @disabled, disabled_why = @why, failing_since = NULL, failures = 0, next_try_at = NULL, updated_at = @at, updated_by = @by
		WHERE id = @id`,
		pgx.NamedArgs{
			"id": d.ID, "name": d.Name, "key": constellation.Fold(d.Name), "address": d.Address, "sealed": sealed,
			"disabled": d.Disabled, "why": d.DisabledWhy, "at": d.UpdatedAt, "by": d.UpdatedBy,
		}, noDestination(d.ID))
}

// DeleteDestination removes a destination; messages that wait for it have failed.
func (db *DB) DeleteDestination(ctx context.Context, id string, at time.Time) error {
	err := db.exec(ctx, "fail deliveries of a removed destination", `
		UPDATE notification_deliveries SET state = 'failed', error = 'the destination was removed', next_try_at = NULL, finished_at = @at
		WHERE destination_id = @id AND state = 'pending'`, pgx.NamedArgs{"id": id, "at": at})
	if err != nil {
		return err
	}
	return db.execOne(ctx, "delete destination", `DELETE FROM notification_destinations WHERE id = @id`, pgx.NamedArgs{"id": id}, noDestination(id))
}

// ClaimFailing reports whether somebody may try a destination that failed: one at a
// time, when its time has come. One that is well takes any number.
func (db *DB) ClaimFailing(ctx context.Context, id string, now, until time.Time) (bool, error) {
	found, err := collect[struct{ ID string }](ctx, db, "claim a failing destination", `
		UPDATE notification_destinations SET next_try_at = CASE WHEN failing_since IS NULL THEN NULL ELSE @until::timestamptz END
		WHERE id = @id AND (failing_since IS NULL OR next_try_at IS NULL OR next_try_at <= @now OR next_try_at > @now::timestamptz + interval '2 hours')
		RETURNING id::text AS id`, pgx.NamedArgs{"id": id, "now": now, "until": until})
	return len(found) > 0, err
}

// DestinationFailed notes that a destination took nothing, and returns how often in a
// row that was.
func (db *DB) DestinationFailed(ctx context.Context, id string, at time.Time) (int, error) {
	found, err := collect[struct{ Failures int }](ctx, db, "note a failing destination", `
		UPDATE notification_destinations SET failing_since = coalesce(failing_since, @at), failures = failures + 1 WHERE id = @id
		RETURNING failures`, pgx.NamedArgs{"id": id, "at": at})
	if err != nil || len(found) == 0 {
		return 1, err
	}
	return found[0].Failures, nil
}

// RetryDestination says when a failing destination is tried again.
func (db *DB) RetryDestination(ctx context.Context, id string, at time.Time) error {
	return db.exec(ctx, "put a destination off", `UPDATE notification_destinations SET next_try_at = @at WHERE id = @id AND failing_since IS NOT NULL`,
		pgx.NamedArgs{"id": id, "at": at})
}

// DestinationTook notes that a destination is well.
func (db *DB) DestinationTook(ctx context.Context, id string) error {
	return db.exec(ctx, "note a destination that is well", `
		UPDATE notification_destinations SET failing_since = NULL, failures = 0, next_try_at = NULL WHERE id = @id AND failing_since IS NOT NULL`,
		pgx.NamedArgs{"id": id})
}

// DisableDestination turns a destination off that says it is gone; it reports whether
// it was on.
func (db *DB) DisableDestination(ctx context.Context, id, why, by string, at time.Time) (bool, error) {
	found, err := collect[struct{ ID string }](ctx, db, "turn a destination off", `
		UPDATE notification_destinations SET disabled = true, disabled_why = @why, failing_since = NULL, failures = 0, next_try_at = NULL, updated_at = @at, updated_by = @by
		WHERE id = @id AND NOT disabled RETURNING id::text AS id`, pgx.NamedArgs{"id": id, "why": why, "by": by, "at": at})
	return len(found) > 0, err
}
