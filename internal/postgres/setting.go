package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// Setting returns a sealed value of the whole mothership, nil when it is not
// set yet.
func (db *DB) Setting(ctx context.Context, name string) ([]byte, error) {
	return scalar[[]byte](ctx, db, "get setting",
		`SELECT (SELECT sealed FROM settings WHERE name = @name)`, pgx.NamedArgs{"name": name})
}

// InsertSetting stores a sealed value that is not set yet.
func (db *DB) InsertSetting(ctx context.Context, name string, sealed []byte, at time.Time) error {
	return db.exec(ctx, "insert setting", `INSERT INTO settings (name, sealed, set_at) VALUES (@name, @sealed, @at)`,
		pgx.NamedArgs{"name": name, "sealed": sealed, "at": at})
}

// HasSecrets reports whether anything is stored that was sealed for good.
func (db *DB) HasSecrets(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "look for sealed secrets",
		`SELECT EXISTS (SELECT FROM settings) OR EXISTS (SELECT FROM launches)`, nil)
}

// StoredAnswer is the sealed answer to a request that may be repeated.
type StoredAnswer struct{ Request, Response []byte }

// StoredAnswer returns the answer to an idempotency key of an account, nil when
// there is none since the given time.
func (db *DB) StoredAnswer(ctx context.Context, accountID, key string, since time.Time) (*StoredAnswer, error) {
	rows, err := collect[StoredAnswer](ctx, db, "get stored answer", `
		SELECT request, response FROM idempotency_keys
		WHERE account_id = @account_id AND key = @key AND created_at >= @since`,
		pgx.NamedArgs{"account_id": accountID, "key": key, "since": since})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// StoreAnswer keeps the answer to an idempotency key; one too old to be given
// again is replaced.
func (db *DB) StoreAnswer(ctx context.Context, accountID, key string, a StoredAnswer, at time.Time) error {
	return db.exec(ctx, "store answer", `
		INSERT INTO idempotency_keys (account_id, key, request, response, created_at)
		VALUES (@account_id, @key, @request, @response, @at)
		ON CONFLICT (account_id, key) DO UPDATE SET
			request = excluded.request, response = excluded.response, created_at = excluded.created_at`,
		pgx.NamedArgs{"account_id": accountID, "key": key, "request": a.Request, "response": a.Response, "at": at})
}

// Counts are the totals of the mothership.
type Counts struct{ Accounts, Algorithms, AlgorithmVersions, Satellites, Launches int64 }

// Counts counts rows; of a table with more than ten thousand it returns
// PostgreSQL's own estimate, since counting reads every row.
func (db *DB) Counts(ctx context.Context) (*Counts, error) {
	return collectOne[Counts](ctx, db, "count rows", `
		WITH estimate AS (SELECT relname AS name, reltuples::bigint AS rows FROM pg_class
			WHERE oid = ANY (ARRAY['algorithms', 'algorithm_versions', 'satellites', 'launches']::regclass[]) AND reltuples > 10000)
		SELECT (SELECT count(*) FROM accounts) AS accounts,
			coalesce((SELECT rows FROM estimate WHERE name = 'algorithms'), (SELECT count(*) FROM algorithms)) AS algorithms,
			coalesce((SELECT rows FROM estimate WHERE name = 'algorithm_versions'), (SELECT count(*) FROM algorithm_versions)) AS algorithm_versions,
			coalesce((SELECT rows FROM estimate WHERE name = 'satellites'), (SELECT count(*) FROM satellites)) AS satellites,
			coalesce((SELECT rows FROM estimate WHERE name = 'launches'), (SELECT count(*) FROM launches)) AS launches`, nil, nil)
}
