package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var foreignRegistryOrder = ordering{
	sorts: map[string]column{
		"host":       {"r.host", "text"},
		"created_at": {"r.created_at", "timestamptz"},
	},
	id:     column{"r.id", "uuid"},
	search: "r.host",
}

const foreignRegistryColumns = `r.id, r.host, r.plain_http, r.ca, r.username, r.sealed, r.created_at, r.created_by, r.updated_at, r.updated_by, r.last_used_at` //nolint:gosec // columns

// ForeignRegistries returns a page of the registries elsewhere.
func (db *DB) ForeignRegistries(ctx context.Context, l List) ([]constellation.ForeignRegistry, error) {
	return list[constellation.ForeignRegistry](ctx, db, "list registries", listQuery{order: foreignRegistryOrder, rows: selection{
		columns: foreignRegistryColumns, from: `foreign_registries r`,
	}}, l)
}

// ForeignRegistry returns a registry elsewhere by its id.
func (db *DB) ForeignRegistry(ctx context.Context, id string) (*constellation.ForeignRegistry, error) {
	return collectOne[constellation.ForeignRegistry](ctx, db, "get registry", `
		SELECT `+foreignRegistryColumns+` FROM foreign_registries r WHERE r.id = @id`,
		pgx.NamedArgs{"id": id}, constellation.Errorf(constellation.KindNotFound, "there is no registry %q", id))
}

// ForeignRegistryAt returns the registry elsewhere of a host, nil when there is none.
func (db *DB) ForeignRegistryAt(ctx context.Context, host string) (*constellation.ForeignRegistry, error) {
	rows, err := collect[constellation.ForeignRegistry](ctx, db, "get registry of host", `
		SELECT `+foreignRegistryColumns+` FROM foreign_registries r WHERE r.host = @host`, pgx.NamedArgs{"host": host})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// InsertForeignRegistry adds a registry elsewhere.
func (db *DB) InsertForeignRegistry(ctx context.Context, r *constellation.ForeignRegistry) error {
	return db.exec(ctx, "insert registry", `
		INSERT INTO foreign_registries (id, host, plain_http, ca, username, sealed, created_at, created_by, updated_at, updated_by)
		VALUES (@id, @host, @plain_http, @ca, @username, @sealed, @created_at, @created_by, @updated_at, @updated_by)`, foreignRegistryArgs(r))
}

// UpdateForeignRegistry changes how a registry elsewhere is reached.
func (db *DB) UpdateForeignRegistry(ctx context.Context, r *constellation.ForeignRegistry) error {
	return db.exec(ctx, "update registry", `
		UPDATE foreign_registries SET plain_http = @plain_http, ca = @ca, username = @username, sealed = @sealed, updated_at = @updated_at, updated_by = @updated_by
		WHERE id = @id`, foreignRegistryArgs(r))
}

func foreignRegistryArgs(r *constellation.ForeignRegistry) pgx.NamedArgs {
	return pgx.NamedArgs{
		"id": r.ID, "host": r.Host, "plain_http": r.PlainHTTP, "ca": r.CA, "username": r.Username, "sealed": r.Sealed,
		"created_at": r.CreatedAt, "created_by": r.CreatedBy, "updated_at": r.UpdatedAt, "updated_by": r.UpdatedBy,
	}
}

// UseForeignRegistry notes that a registry elsewhere is used at a moment, to the minute.
func (db *DB) UseForeignRegistry(ctx context.Context, id string, at time.Time) error {
	return db.exec(ctx, "note use of registry", `
		UPDATE foreign_registries SET last_used_at = @at WHERE id = @id AND (last_used_at IS NULL OR last_used_at <= @at::timestamptz - interval '1 minute')`,
		pgx.NamedArgs{"id": id, "at": at})
}

// DeleteForeignRegistry removes a registry elsewhere.
func (db *DB) DeleteForeignRegistry(ctx context.Context, id string) error {
	return db.exec(ctx, "delete registry", `DELETE FROM foreign_registries WHERE id = @id`, pgx.NamedArgs{"id": id})
}
