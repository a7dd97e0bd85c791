// Package postgres keeps the mothership's state in PostgreSQL: one file of
// SQL a noun, the same methods in or out of a transaction, and SQLSTATEs
// translated once into constellation's errors.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// DB is the database, or one transaction of it. It is safe for concurrent
// use, except inside a transaction.
type DB struct {
	pool *pgxpool.Pool
	tx   pgx.Tx // nil outside a transaction
}

// conn is what a pool and a transaction have in common, so that one method
// works in or out of a transaction.
type conn interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Open connects to the database at url, in the form of DATABASE_URL. Times
// are read in UTC.
func Open(ctx context.Context, url string) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, constellation.Wrap(errors.New("parse database URL"), constellation.KindInvalid,
			"DATABASE_URL cannot be read; it looks like postgres://user:password@host:5432/database")
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "constellation"
	}
	if !strings.Contains(url, "pool_max_conns") {
		config.MaxConns = 16
	}
	config.AfterConnect = func(_ context.Context, c *pgx.Conn) error {
		c.TypeMap().RegisterType(&pgtype.Type{
			Name: "timestamptz", OID: pgtype.TimestamptzOID,
			Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
		})
		return nil
	}
	boundConnecting(config.ConnConfig, url)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &DB{pool: pool}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, cannotConnect(config.ConnConfig, err)
	}
	return db, nil
}

// boundConnecting lets one attempt to connect take ten seconds, unless the
// URL has a bound of its own.
func boundConnecting(config *pgx.ConnConfig, url string) {
	if !strings.Contains(url, "connect_timeout") {
		config.ConnectTimeout = 10 * time.Second
	}
}

// Close ends every connection.
func (db *DB) Close() { db.pool.Close() }

// Ping checks that the database answers.
func (db *DB) Ping(ctx context.Context) error {
	_, err := db.conn().Exec(ctx, `SELECT`)
	return translate(err, "ping database")
}

func (db *DB) conn() conn {
	if db.tx != nil {
		return db.tx
	}
	return db.pool
}

// Transact runs f in a transaction and commits when it gives nil. The
// outermost one is run again, a few times, when Postgres ends it for a
// deadlock or a serialization failure, so f must be repeatable. Inside a
// transaction it is a savepoint.
func (db *DB) Transact(ctx context.Context, f func(*DB) error) error {
	const attempts = 4
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, db.beginner(), func(tx pgx.Tx) error {
			return f(&DB{pool: db.pool, tx: tx})
		})
		if db.tx != nil || attempt == attempts || !retryable(err) {
			return translate(err, "transaction")
		}
		pause := time.Duration(attempt) * (5*time.Millisecond + rand.N(10*time.Millisecond)) //nolint:gosec // spreads retries, guards nothing
		select {
		case <-ctx.Done():
			return translate(err, "transaction")
		case <-time.After(pause):
		}
	}
}

func (db *DB) beginner() interface {
	Begin(ctx context.Context) (pgx.Tx, error)
} {
	if db.tx != nil {
		return db.tx
	}
	return db.pool
}

// Lock waits for the advisory lock of a name and holds it until the end of
// the transaction.
func (db *DB) Lock(ctx context.Context, name string) error {
	return db.exec(ctx, "take lock "+name, `SELECT pg_advisory_xact_lock(hashtextextended(@name, 0))`, pgx.NamedArgs{"name": name})
}

// exec runs a statement; what says what it does, for the log.
func (db *DB) exec(ctx context.Context, what, sql string, args pgx.NamedArgs) error {
	_, err := db.conn().Exec(ctx, sql, args)
	return translate(err, what)
}

// execOne runs a statement that must change a row, else it gives missing.
func (db *DB) execOne(ctx context.Context, what, sql string, args pgx.NamedArgs, missing error) error {
	tag, err := db.conn().Exec(ctx, sql, args)
	if err == nil && tag.RowsAffected() == 0 {
		return missing
	}
	return translate(err, what)
}

// collect gives every row of a query, its columns matched to T's fields by
// name.
func collect[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs) ([]T, error) {
	// Planned for each call's arguments: the plan for a search depends on what
	// is searched.
	rows, err := db.conn().Query(ctx, sql, pgx.QueryExecModeCacheDescribe, args)
	if err != nil {
		return nil, translate(err, what)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	return list, translate(err, what)
}

// collectOne gives the one row of a query, or missing when there is none.
func collectOne[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs, missing error) (*T, error) {
	rows, err := db.conn().Query(ctx, sql, args)
	if err != nil {
		return nil, translate(err, what)
	}
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[T])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, missing
	}
	return row, translate(err, what)
}

// scalar gives the one value of a query that always has one row.
func scalar[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs) (T, error) {
	var value T
	err := db.conn().QueryRow(ctx, sql, args).Scan(&value)
	return value, translate(err, what)
}
