package postgres

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Sealed is a value that is sealed, by the key of its row.
type Sealed struct {
	Key   string
	Value []byte
}

// sealed are the columns with sealed values: their table, and what a row's key is.
var sealed = map[string]struct{ table, key string }{
	"acme_values.sealed":               {"acme_values", "name"},
	"settings.sealed":                  {"settings", "name"},
	"launches.token_sealed":            {"launches", "id::text"},
	"launch_bundles.sealed":            {"launch_bundles", "inputs"},
	"idempotency_keys.response":        {"idempotency_keys", "account_id || '/' || key"},
	"setup_token.sealed":               {"setup_token", "singleton::text"},
	"sign_ons.refresh_token":           {"sign_ons", "account_id::text"},
	"sign_ons.id_token":                {"sign_ons", "account_id::text"},
	"foreign_registries.sealed":        {"foreign_registries", "id::text"},
	"notification_destinations.sealed": {"notification_destinations", "id::text"},
}

// SealedColumns are TABLE.COLUMN of all that is sealed.
func SealedColumns() []string {
	names := make([]string, 0, len(sealed))
	for name := range sealed {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// SealedValues returns the next values of a column, in the order of their keys.
func (db *DB) SealedValues(ctx context.Context, name, after string, limit int) ([]Sealed, error) {
	c := sealed[name]
	_, column, _ := strings.Cut(name, ".")
	return collect[Sealed](ctx, db, "read sealed values", `
		SELECT key, value FROM (SELECT `+c.key+` COLLATE "C" AS key, `+column+` AS value FROM `+c.table+`) every
		WHERE value IS NOT NULL AND value <> '' AND key > @after ORDER BY key LIMIT @limit`, pgx.NamedArgs{"after": after, "limit": limit})
}

// ReplaceSealed replaces a sealed value, unless somebody else did.
func (db *DB) ReplaceSealed(ctx context.Context, name string, before Sealed, value []byte) error {
	c := sealed[name]
	_, column, _ := strings.Cut(name, ".")
	return db.exec(ctx, "replace sealed value", `
		UPDATE `+c.table+` SET `+column+` = @value WHERE `+c.key+` = @key AND `+column+` = @before`,
		pgx.NamedArgs{"value": value, "key": before.Key, "before": before.Value})
}
