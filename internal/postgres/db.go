// Package postgres keeps the mothership's state in PostgreSQL: one file of
// SQL a noun, the same methods in or out of a transaction, and SQLSTATEs
// translated once into constellation's errors.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/retry"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// DB is the database, or one transaction of it. It is safe for concurrent
// use, except inside a transaction.
type DB struct {
	pool *pgxpool.Pool
	tx   pgx.Tx // nil outside a transaction

	pooled  bool            // it is behind a pooler in transaction mode
	session *pgx.ConnConfig // of connections that are not; nil is as the pool's
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
func Open(ctx context.Context, url string) (*DB, error) { return OpenPooled(ctx, url, "") }

// OpenPooled is Open of a database that may be behind a pooler in transaction mode,
// which is found out. session leads past the pooler, for what needs a connection of
// its own; "" is not known. Options change how the pool connects: see [Traced].
func OpenPooled(ctx context.Context, url, session string, options ...func(*pgxpool.Config)) (*DB, error) {
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
	for _, option := range options {
		option(config)
	}
	db := &DB{}
	var pooled atomic.Bool
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		if pooled.Load() {
			throughPooler(c)
		}
		return nil
	}
	if session != "" {
		if db.session, err = pgx.ParseConfig(session); err != nil {
			return nil, constellation.Wrap(errors.New("parse session URL"), constellation.KindInvalid,
				"--database-session-url cannot be read; it looks like postgres://user:password@host:5432/database")
		}
		boundConnecting(db.session, session)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.pool = pool
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, cannotConnect(config.ConnConfig, err)
	}
	err = pool.AcquireFunc(ctx, func(mine *pgxpool.Conn) (err error) {
		db.pooled, err = isPooled(ctx, mine.Conn(), config.ConnConfig)
		return err
	})
	if err != nil {
		pool.Close()
		return nil, translate(err, "look for a pooler")
	}
	if db.pooled {
		pooled.Store(true)
		pool.Reset() // for connections that prepare nothing
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

// Pooled reports whether the database is behind a pooler in transaction mode.
func (db *DB) Pooled() bool { return db.pooled }

// Polls reports whether changes are looked for, rather than heard of: behind a pooler
// with no way past it.
func (db *DB) Polls() bool { return db.pooled && db.session == nil }

// Close ends every connection.
func (db *DB) Close() { db.pool.Close() }

// Ping checks that the database answers and takes writes.
func (db *DB) Ping(ctx context.Context) error {
	standby, err := scalar[bool](ctx, db, "ping database", `SELECT current_setting('transaction_read_only')::bool`, nil)
	if err == nil && standby {
		db.pool.Reset() // another host of the URL may be the primary by now
		return constellation.Errorf(constellation.KindUnavailable, standbyMessage)
	}
	return err
}

func (db *DB) conn() conn {
	if db.tx != nil {
		return db.tx
	}
	return db.pool
}

// Transact runs f in a transaction and commits when it returns nil. The
// outermost one is run again, a few times, when Postgres ends it for a
// deadlock or a serialization failure, and once when its connection is lost
// before the commit, so f must be repeatable. Inside a transaction it is a
// savepoint.
func (db *DB) Transact(ctx context.Context, f func(*DB) error) error {
	if db.tx != nil {
		return translate(pgx.BeginFunc(ctx, db.tx, func(tx pgx.Tx) error { return f(db.within(tx)) }), "transaction")
	}
	first, last := true, error(nil)
	_ = retry.Do(ctx, transactions, func() error { // what ended it is last
		committing, err := db.attempt(ctx, f)
		retries := retryable(err)
		if first && !committing && lost(err) {
			db.pool.Reset() // its other connections went the same way
			retries = true
		}
		first, last = false, err
		if !retries {
			return retry.Permanent(err)
		}
		return err
	})
	return translate(last, "transaction")
}

// within is db inside a transaction.
func (db *DB) within(tx pgx.Tx) *DB {
	bound := *db
	bound.tx = tx
	return &bound
}

// transactions is how often a transaction is run. Those that were in each other's
// way do not come back together.
var transactions = retry.Policy{Attempts: 4, Delay: func(attempt int) time.Duration {
	return time.Duration(attempt+1) * (5*time.Millisecond + rand.N(10*time.Millisecond)) //nolint:gosec // spreads retries, guards nothing
}}

// attempt runs f in one transaction; committing reports whether the commit was
// sent, so that an error leaves open if it was done.
func (db *DB) attempt(ctx context.Context, f func(*DB) error) (committing bool, err error) {
	ctx, span := tracing.Start(ctx, "transaction", tracing.Internal)
	defer func() { span.End(err) }()
	err = pgx.BeginFunc(ctx, db.pool, func(tx pgx.Tx) error {
		defer holdSpan(tx, span)()
		if err := f(db.within(tx)); err != nil {
			return err
		}
		committing = true
		return nil
	})
	return committing, err
}

// retry runs a query, and once more when its connection is lost, as with the
// first one after a failover, and running it twice changes nothing.
func (db *DB) retry(sql string, run func() error) error {
	err := run()
	if db.tx != nil || !lost(err) || writes.MatchString(sql) {
		return err
	}
	db.pool.Reset()
	return run()
}

// writes is a query that changes something when it is run.
var writes = regexp.MustCompile(`\b(INSERT|UPDATE|DELETE|nextval)\b`)

// Lock waits for the advisory lock of a name and holds it until the end of
// the transaction.
func (db *DB) Lock(ctx context.Context, name string) error {
	return db.exec(ctx, "take lock "+name, `SELECT pg_advisory_xact_lock(hashtextextended(@name, 0))`, pgx.NamedArgs{"name": name})
}

// LockShared is Lock, beside others that take it so too.
func (db *DB) LockShared(ctx context.Context, name string) error {
	return db.exec(ctx, "take lock "+name, `SELECT pg_advisory_xact_lock_shared(hashtextextended(@name, 0))`, pgx.NamedArgs{"name": name})
}

// run runs a statement, and once more when PostgreSQL says, or nothing was
// sent, that it was not done.
func (db *DB) run(ctx context.Context, sql string, args pgx.NamedArgs) (pgconn.CommandTag, error) {
	tag, err := db.conn().Exec(ctx, sql, args)
	if db.tx == nil && lost(err) && (!broken(err) || pgconn.SafeToRetry(err)) {
		db.pool.Reset()
		tag, err = db.conn().Exec(ctx, sql, args)
	}
	return tag, err
}

// exec runs a statement; what says what it does, for the log.
func (db *DB) exec(ctx context.Context, what, sql string, args pgx.NamedArgs) error {
	_, err := db.run(ctx, sql, args)
	return translate(err, what)
}

// execOne runs a statement that must change a row, else it returns missing.
func (db *DB) execOne(ctx context.Context, what, sql string, args pgx.NamedArgs, missing error) error {
	tag, err := db.run(ctx, sql, args)
	if err == nil && tag.RowsAffected() == 0 {
		return missing
	}
	return translate(err, what)
}

// collect returns every row of a query, its columns matched to T's fields by
// name.
func collect[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs) ([]T, error) {
	// Planned for each call's arguments: the plan for a search depends on what
	// is searched.
	var list []T
	err := db.retry(sql, func() error {
		rows, err := db.conn().Query(ctx, sql, pgx.QueryExecModeCacheDescribe, args)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, pgx.RowToStructByName[T])
		return err
	})
	return list, translate(err, what)
}

// collectOne returns the one row of a query, or missing when there is none.
func collectOne[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs, missing error) (*T, error) {
	var row *T
	err := db.retry(sql, func() error {
		rows, err := db.conn().Query(ctx, sql, args)
		if err != nil {
			return err
		}
		row, err = pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[T])
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, missing
	}
	return row, translate(err, what)
}

// scalar returns the one value of a query that always has one row.
func scalar[T any](ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs) (T, error) {
	var value T
	err := db.retry(sql, func() error { return db.conn().QueryRow(ctx, sql, args).Scan(&value) })
	return value, translate(err, what)
}
