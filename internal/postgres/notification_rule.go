package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var notificationRuleOrder = ordering{
	sorts: map[string]column{
		"name":       {"r.name_key", "text"},
		"created_at": {"r.created_at", "timestamptz"},
	},
	id:     column{"r.id", "uuid"},
	search: "r.name_key",
}

const notificationRuleColumns = `r.id, r.name, r.kinds, r.selector, r.quiet, r.group_seconds, r.repeat_seconds, r.disabled, r.created_at, r.created_by, r.updated_at, r.updated_by,
	ARRAY(SELECT x.destination_id::text FROM notification_rule_destinations x JOIN notification_destinations d ON d.id = x.destination_id
		WHERE x.rule_id = r.id ORDER BY d.name_key) AS destination_ids`

// NotificationRules returns a page of what is told where.
func (db *DB) NotificationRules(ctx context.Context, l List) ([]constellation.NotificationRule, error) {
	return list[constellation.NotificationRule](ctx, db, "list notification rules", listQuery{order: notificationRuleOrder, rows: selection{
		columns: notificationRuleColumns, from: `notification_rules r`,
	}}, l)
}

// ActiveNotificationRules returns the rules that are not turned off, by name.
func (db *DB) ActiveNotificationRules(ctx context.Context) ([]constellation.NotificationRule, error) {
	return collect[constellation.NotificationRule](ctx, db, "get notification rules", `
		SELECT `+notificationRuleColumns+` FROM notification_rules r WHERE NOT r.disabled ORDER BY r.name_key`, nil)
}

func noNotificationRule(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no notification rule %q", id)
}

// NotificationRule returns a rule by its id.
func (db *DB) NotificationRule(ctx context.Context, id string) (*constellation.NotificationRule, error) {
	return collectOne[constellation.NotificationRule](ctx, db, "get notification rule", `
		SELECT `+notificationRuleColumns+` FROM notification_rules r WHERE r.id = @id`, pgx.NamedArgs{"id": id}, noNotificationRule(id))
}

// CountNotificationRules returns how many there are, and holds others from adding one
// until the transaction ends.
func (db *DB) CountNotificationRules(ctx context.Context) (int, error) {
	if err := db.Lock(ctx, "notification rules"); err != nil {
		return 0, err
	}
	return scalar[int](ctx, db, "count notification rules", `SELECT count(*)::int FROM notification_rules`, nil)
}

func notificationRuleArgs(r *constellation.NotificationRule) pgx.NamedArgs {
	kinds := make([]string, len(r.Kinds))
	for i, k := range r.Kinds {
		kinds[i] = string(k)
	}
	return pgx.NamedArgs{
		"id": r.ID, "name": r.Name, "key": constellation.Fold(r.Name), "kinds": kinds, "selector": r.Selector, "quiet": r.Quiet,
		"group": r.GroupSeconds, "repeat": r.RepeatSeconds, "disabled": r.Disabled, "at": r.UpdatedAt, "by": r.UpdatedBy,
		"destinations": r.DestinationIDs,
	}
}

// InsertNotificationRule adds a rule, with its destinations.
func (db *DB) InsertNotificationRule(ctx context.Context, r *constellation.NotificationRule) error {
	err := db.exec(ctx, "insert notification rule", `
		INSERT INTO notification_rules (id, name, name_key, kinds, selector, quiet, group_seconds, repeat_seconds, disabled, created_at, created_by, updated_at, updated_by)
		VALUES (@id, @name, @key, @kinds, @selector, @quiet, @group, @repeat, @disabled, @at, @by, @at, @by)`, notificationRuleArgs(r))
	if err != nil {
		return err
	}
	return db.putRuleDestinations(ctx, r)
}

// UpdateNotificationRule makes a rule what it is here. One that is turned off forgets
// what waits to be told.
func (db *DB) UpdateNotificationRule(ctx context.Context, r *constellation.NotificationRule) error {
	err := db.execOne(ctx, "update notification rule", `
		UPDATE notification_rules SET name = @name, name_key = @key, kinds = @kinds, selector = @selector, quiet = @quiet, group_seconds = @group,
			repeat_seconds = @repeat, disabled = @disabled, updated_at = @at, updated_by = @by
		WHERE id = @id`, notificationRuleArgs(r), noNotificationRule(r.ID))
	if err != nil {
		return err
	}
	if r.Disabled {
		if err := db.exec(ctx, "forget what waits", `DELETE FROM notice_matches WHERE rule_id = @id`, pgx.NamedArgs{"id": r.ID}); err != nil {
			return err
		}
	}
	return db.putRuleDestinations(ctx, r)
}

func (db *DB) putRuleDestinations(ctx context.Context, r *constellation.NotificationRule) error {
	err := db.exec(ctx, "remove destinations of a rule", `
		DELETE FROM notification_rule_destinations WHERE rule_id = @id AND destination_id <> ALL (@destinations::uuid[])`, notificationRuleArgs(r))
	if err != nil {
		return err
	}
	return db.exec(ctx, "put destinations of a rule", `
		INSERT INTO notification_rule_destinations (rule_id, destination_id) SELECT @id, d FROM unnest(@destinations::uuid[]) AS d ON CONFLICT DO NOTHING`,
		notificationRuleArgs(r))
}

// KnownDestinations returns those of the ids that there are.
func (db *DB) KnownDestinations(ctx context.Context, ids []string) ([]string, error) {
	return collectIDs(ctx, db, "look for destinations", `SELECT id::text FROM notification_destinations WHERE id = ANY (@ids::uuid[]) FOR KEY SHARE`,
		pgx.NamedArgs{"ids": ids})
}

// DeleteNotificationRule removes a rule, and what it waits to tell.
func (db *DB) DeleteNotificationRule(ctx context.Context, id string) error {
	return db.execOne(ctx, "delete notification rule", `DELETE FROM notification_rules WHERE id = @id`, pgx.NamedArgs{"id": id}, noNotificationRule(id))
}
