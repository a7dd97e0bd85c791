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

// sealed are the columns with sealed values: their table, what a row's key is, and
// what of the row its index orders them by: the key goes on after one of those.
var sealed = map[string]struct{ table, key, order, after string }{
	"acme_values.sealed":               {"acme_values", "name", "name", "@after"},
	"settings.sealed":                  {"settings", "name", "name", "@after"},
	"launches.token_sealed":            {"launches", "id::text", "id", "@after::uuid"},
	"launch_bundles.sealed":            {"launch_bundles", "inputs", "inputs", "@after"},
	"idempotency_keys.response":        {"idempotency_keys", "account_id || '/' || key", "(account_id, key)", "(split_part(@after, '/', 1), substr(@after, strpos(@after, '/') + 1))"},
	"setup_token.sealed":               {"setup_token", "singleton::text", "singleton::text", "@after"},
	"sign_ons.refresh_token":           {"sign_ons", "account_id::text", "account_id", "@after::uuid"},
	"sign_ons.id_token":                {"sign_ons", "account_id::text", "account_id", "@after::uuid"},
	"foreign_registries.sealed":        {"foreign_registries", "id::text", "id", "@after::uuid"},
	"notification_destinations.sealed": {"notification_destinations", "id::text", "id", "@after::uuid"},
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

// sealedSQL returns how a column's next values are read, and how one is replaced.
func sealedSQL(name, after string) (read, replace string) {
	c := sealed[name]
	_, column, _ := strings.Cut(name, ".")
	further := ""
	if after != "" {
		further = ` AND ` + c.order + ` > ` + c.after
	}
	read = `SELECT ` + c.key + ` AS key, ` + column + ` AS value FROM ` + c.table + `
		WHERE ` + column + ` IS NOT NULL AND ` + column + ` <> ''` + further + ` ORDER BY ` + strings.Trim(c.order, "()") + ` LIMIT @limit`
	replace = `UPDATE ` + c.table + ` SET ` + column + ` = @value
		WHERE ` + c.order + ` = ` + strings.ReplaceAll(c.after, "@after", "@key") + ` AND ` + column + ` = @before`
	return read, replace
}

// SealedValues returns the next values of a column, in the order of its index; after
// is the last one's key, "" at first.
func (db *DB) SealedValues(ctx context.Context, name, after string, limit int) ([]Sealed, error) {
	read, _ := sealedSQL(name, after)
	args := pgx.NamedArgs{"limit": limit}
	if after != "" {
		args["after"] = after
	}
	return collect[Sealed](ctx, db, "read sealed values", read, args)
}

// ReplaceSealed replaces a sealed value, unless somebody else did.
func (db *DB) ReplaceSealed(ctx context.Context, name string, before Sealed, value []byte) error {
	_, replace := sealedSQL(name, before.Key)
	return db.exec(ctx, "replace sealed value", replace, pgx.NamedArgs{"value": value, "key": before.Key, "before": before.Value})
}
