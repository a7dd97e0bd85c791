package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Stat returns the connection pool's numbers, for metrics.
func (db *DB) Stat() *pgxpool.Stat { return db.pool.Stat() }

// Clock returns what time it is for the database.
func (db *DB) Clock(ctx context.Context) (time.Time, error) {
	return scalar[time.Time](ctx, db, "read the clock", `SELECT clock_timestamp()`, nil)
}

// ServerStatus is what the database says of itself.
type ServerStatus struct {
	Version   string // of PostgreSQL
	Size      int64  // bytes of this database
	Schema    int64  // the newest migration that was applied
	Importing int    // algorithm versions on their way into the registry
	Failed    int    // those that did not get there
}

// ServerStatus returns what the database reports about itself.
func (db *DB) ServerStatus(ctx context.Context) (*ServerStatus, error) {
	return collectOne[ServerStatus](ctx, db, "read server status", `
		SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS size,
			(SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied) AS schema,
			(SELECT count(*)::int FROM algorithm_versions WHERE state = 'importing' AND state <> 'ready') AS importing,
			(SELECT count(*)::int FROM algorithm_versions WHERE state = 'failed' AND state <> 'ready') AS failed`, nil, nil)
}
