package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var deliveryOrder = ordering{
	sorts:  map[string]column{"created_at": {"d.created_at", "timestamptz"}},
	id:     column{"d.id", "uuid"},
	search: "d.search_key",
}

const deliveryColumns = `d.id, d.destination_id::text AS destination_id, d.destination_name, d.rule_name, d.title, d.notices, d.state, d.attempts, d.error,
	d.next_try_at, d.created_at, d.finished_at`

// Deliveries returns a page of messages and what became of them; state and destination
// "" are all.
func (db *DB) Deliveries(ctx context.Context, state, destinationID string, l List) ([]constellation.Delivery, error) {
	return list[constellation.Delivery](ctx, db, "list deliveries", listQuery{order: deliveryOrder, rows: selection{
		columns: deliveryColumns, from: `notification_deliveries d`,
		where: `(@state = '' OR d.state = @state) AND (@destination = '' OR d.destination_id::text = @destination)`,
	}, args: pgx.NamedArgs{"state": state, "destination": destinationID}}, l)
}

func noDelivery(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no delivery %q: they are kept for 30 days", id)
}

// Delivery returns a delivery by its id.
func (db *DB) Delivery(ctx context.Context, id string) (*constellation.Delivery, error) {
	return collectOne[constellation.Delivery](ctx, db, "get delivery", `
		SELECT `+deliveryColumns+` FROM notification_deliveries d WHERE d.id = @id`, pgx.NamedArgs{"id": id}, noDelivery(id))
}

// DeliveryContent is what a delivery says, and until when it is tried.
type DeliveryContent struct {
	Content  constellation.NoticeMessage
	GiveUpAt time.Time
}

// DeliveryContent returns what a delivery says.
func (db *DB) DeliveryContent(ctx context.Context, id string) (*DeliveryContent, error) {
	return collectOne[DeliveryContent](ctx, db, "get content of delivery", `
		SELECT content, give_up_at FROM notification_deliveries WHERE id = @id`, pgx.NamedArgs{"id": id}, noDelivery(id))
}

// InsertDelivery adds a delivery with what it says.
func (db *DB) InsertDelivery(ctx context.Context, d *constellation.Delivery, m *constellation.NoticeMessage, giveUp time.Time) error {
	return db.exec(ctx, "insert delivery", `
		INSERT INTO notification_deliveries (id, destination_id, destination_name, rule_name, title, search_key, notices, content, state, error, give_up_at, created_at, finished_at)
		VALUES (@id, @destination, @name, @rule, @title, @search, @notices, @content, @state, @error, @give_up, @at, @finished)`,
		pgx.NamedArgs{
			"id": d.ID, "destination": d.DestinationID, "name": d.DestinationName, "rule": d.RuleName, "title": d.Title,
			"search":  constellation.Fold(d.DestinationName + " " + d.RuleName + " " + d.Title),
			"notices": d.Notices, "content": m, "state": d.State, "error": d.Error, "give_up": giveUp, "at": d.CreatedAt, "finished": d.FinishedAt,
		})
}

// PendingDeliveries returns how many messages wait for a destination.
func (db *DB) PendingDeliveries(ctx context.Context, destinationID string) (int, error) {
	return scalar[int](ctx, db, "count pending deliveries", `
		SELECT count(*)::int FROM notification_deliveries WHERE destination_id = @id AND state = 'pending'`, pgx.NamedArgs{"id": destinationID})
}

// FinishDelivery notes that a pending delivery was sent or has failed for good.
func (db *DB) FinishDelivery(ctx context.Context, id string, state constellation.DeliveryState, attempts int, problem string, at time.Time) error {
	return db.exec(ctx, "finish delivery", `
		UPDATE notification_deliveries SET state = @state, attempts = attempts + @attempts, error = @error, next_try_at = NULL, finished_at = @at
		WHERE id = @id AND state = 'pending'`,
		pgx.NamedArgs{"id": id, "state": state, "attempts": attempts, "error": problem, "at": at})
}

// RetryDelivery notes a failed attempt, and when the next one is.
func (db *DB) RetryDelivery(ctx context.Context, id, problem string, next time.Time) error {
	return db.exec(ctx, "put a delivery off", `
		UPDATE notification_deliveries SET attempts = attempts + 1, error = @error, next_try_at = @next WHERE id = @id AND state = 'pending'`,
		pgx.NamedArgs{"id": id, "error": problem, "next": next})
}

// WaitDelivery notes when a delivery is tried that waits for its destination.
func (db *DB) WaitDelivery(ctx context.Context, id string, next time.Time) error {
	return db.exec(ctx, "have a delivery wait", `UPDATE notification_deliveries SET next_try_at = @next WHERE id = @id AND state = 'pending'`,
		pgx.NamedArgs{"id": id, "next": next})
}

// ResendDelivery makes a delivery that is finished pending again; it reports false when
// it is pending.
func (db *DB) ResendDelivery(ctx context.Context, id string, giveUp time.Time) (bool, error) {
	tag, err := db.run(ctx, `
		UPDATE notification_deliveries SET state = 'pending', error = '', finished_at = NULL, next_try_at = NULL, give_up_at = @give_up
		WHERE id = @id AND state <> 'pending'`, pgx.NamedArgs{"id": id, "give_up": giveUp})
	return err == nil && tag.RowsAffected() > 0, translate(err, "send a delivery again")
}

// LateDeliveries returns pending deliveries that should have been tried by a time.
func (db *DB) LateDeliveries(ctx context.Context, by time.Time, limit int) ([]string, error) {
	return collectIDs(ctx, db, "look for late deliveries", `
		SELECT id::text FROM notification_deliveries WHERE state = 'pending' AND coalesce(next_try_at, created_at) < @by ORDER BY created_at LIMIT @limit`,
		pgx.NamedArgs{"by": by, "limit": limit})
}

// DeliveryCounts are how many messages wait, since when, and how many destinations do
// not take theirs.
type DeliveryCounts struct {
	Pending, Waiting, Failing int
	Oldest                    *time.Time
}

// DeliveryCounts counts them, for metrics.
func (db *DB) DeliveryCounts(ctx context.Context) (*DeliveryCounts, error) {
	return collectOne[DeliveryCounts](ctx, db, "count deliveries", `
		SELECT (SELECT count(*)::int FROM notification_deliveries WHERE state = 'pending') AS pending,
			(SELECT min(created_at) FROM notification_deliveries WHERE state = 'pending') AS oldest,
			(SELECT count(*)::int FROM (SELECT FROM notice_matches LIMIT 100000) m) AS waiting,
			(SELECT count(*)::int FROM notification_destinations WHERE failing_since IS NOT NULL AND NOT disabled) AS failing`, nil, nil)
}

// PurgeNotifications removes deliveries that ended before a time, those beyond the
// newest most, and what is remembered of things that were told before.
func (db *DB) PurgeNotifications(ctx context.Context, now, before time.Time, most int) error {
	args := pgx.NamedArgs{"now": now, "before": before, "most": most}
	for _, sql := range []string{
		`DELETE FROM notification_deliveries WHERE state <> 'pending' AND created_at < @before`,
		`DELETE FROM notification_deliveries WHERE state <> 'pending' AND created_at < (SELECT created_at FROM notification_deliveries ORDER BY created_at DESC, id OFFSET @most LIMIT 1)`,
		`DELETE FROM notice_subjects WHERE told_at < @before`,
		`DELETE FROM notice_marks WHERE until < @now`,
	} {
		if err := db.exec(ctx, "remove old notifications", sql, args); err != nil {
			return err
		}
	}
	return db.DropForgotten(ctx)
}
