package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// ACMEValue returns what is kept sealed for certificates under a name, nil when
// there is nothing that is still good.
func (db *DB) ACMEValue(ctx context.Context, name string, now time.Time) ([]byte, error) {
	return scalar[[]byte](ctx, db, "get ACME value",
		`SELECT (SELECT sealed FROM acme_values WHERE name = @name AND expires_at > @now)`, pgx.NamedArgs{"name": name, "now": now})
}

// TryLock takes the advisory lock of a name until the end of the transaction, and
// reports whether nobody else had it.
func (db *DB) TryLock(ctx context.Context, name string) (bool, error) {
	return scalar[bool](ctx, db, "try lock "+name, `SELECT pg_try_advisory_xact_lock(hashtextextended(@name, 0))`, pgx.NamedArgs{"name": name})
}

// PutACMEValue keeps a sealed value under a name, in place of the one before, and
// drops all that is not good any more.
func (db *DB) PutACMEValue(ctx context.Context, name string, sealed []byte, expires, now time.Time) error {
	if err := db.exec(ctx, "drop old ACME values", `DELETE FROM acme_values WHERE expires_at <= @now AND name <> @name`, pgx.NamedArgs{"name": name, "now": now}); err != nil {
		return err
	}
	return db.exec(ctx, "put ACME value", `
		INSERT INTO acme_values (name, sealed, expires_at) VALUES (@name, @sealed, @expires)
		ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at`,
		pgx.NamedArgs{"name": name, "sealed": sealed, "expires": expires})
}
