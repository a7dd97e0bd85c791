package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/pressly/goose/v3/lock"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// A pooler in transaction mode assigns each transaction the connection that is free.
// There nothing outlives a transaction: no LISTEN, no lock of a session, no prepared
// statement. So changes are polled, migrations hold their lock by a transaction, and
// statements are described and not prepared.

// poolerLooks is how often a connection through something that hides PostgreSQL's
// processes is looked at. Where others use the pool, one look may find the same
// process again by chance.
const poolerLooks = 25

// isPooled reports whether the database of config, to which mine leads, is behind such
// a pooler. While a transaction holds one of PostgreSQL's processes, another
// connection is asked which it has. A pooler tells a connection a process's number of
// its own making, so where it is PostgreSQL's one look is enough.
func isPooled(ctx context.Context, mine *pgx.Conn, config *pgx.ConnConfig) (bool, error) {
	first, err := backend(ctx, mine)
	if err != nil {
		return false, err
	}
	looks := poolerLooks
	if int64(first) == int64(mine.PgConn().PID()) {
		looks = 1
	}
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, nil //nolint:nilerr // no connection left, which a pooler would have
	}
	defer func() { _ = other.Close(context.WithoutCancel(ctx)) }()
	for range looks {
		moves, err := changesBackend(ctx, mine, other)
		if err != nil || moves {
			return moves, err
		}
	}
	return false, nil
}

// changesBackend reports whether mine has another process while other's transaction
// holds one, or the one that other holds.
func changesBackend(ctx context.Context, mine, other *pgx.Conn) (bool, error) {
	first, err := backend(ctx, mine)
	if err != nil {
		return false, err
	}
	if _, err := other.Exec(ctx, "BEGIN"); err != nil {
		return false, translate(err, "connect to the database twice")
	}
	held, err := backend(ctx, other)
	if err != nil || held == first {
		return err == nil, err
	}
	again, err := backend(ctx, mine)
	if err != nil || again != first {
		return err == nil, err
	}
	_, err = other.Exec(ctx, "ROLLBACK")
	return false, translate(err, "connect to the database twice")
}

// backend returns the process of PostgreSQL that answers.
func backend(ctx context.Context, conn *pgx.Conn) (pid int, err error) {
	err = conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid) // prepares nothing, which would fail there
	return pid, translate(err, "ask the database for its process")
}

// findPooler is isPooled with a connection of its own.
func findPooler(ctx context.Context, config *pgx.ConnConfig) (bool, error) {
	mine, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, cannotConnect(config, err)
	}
	defer func() { _ = mine.Close(context.WithoutCancel(ctx)) }()
	return isPooled(ctx, mine, config)
}

// throughPooler lets statements work whichever process runs each.
func throughPooler(config *pgx.ConnConfig) {
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
}

// pooledLock is goose's lock of migrations, held by a transaction of its own: no lock
// of a session outlives a statement behind a pooler. Servers that hold it as goose
// does are excluded too.
type pooledLock struct {
	db *sql.DB
	tx *sql.Tx
}

const (
	lockEvery = time.Second
	lockTries = 300
)

// SessionLock is part of lock.SessionLocker.
func (l *pooledLock) SessionLock(ctx context.Context, _ *sql.Conn) error {
	for range lockTries {
		tx, err := l.db.BeginTx(ctx, nil)
		if err != nil {
			return translate(err, "lock migrations")
		}
		var ours bool
		err = tx.QueryRowContext(ctx, "SELECT pg_try_advisory_xact_lock($1)", lock.DefaultLockID).Scan(&ours)
		if err == nil && ours {
			l.tx = tx
			return nil
		}
		if err := errors.Join(err, tx.Rollback()); err != nil {
			return translate(err, "lock migrations")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockEvery):
		}
	}
	return constellation.Errorf(constellation.KindUnavailable, "another server has been migrating the database for %s; look what holds it up", lockTries*lockEvery)
}

// SessionUnlock is part of lock.SessionLocker.
func (l *pooledLock) SessionUnlock(context.Context, *sql.Conn) error {
	if err := l.tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return fmt.Errorf("unlock migrations: %w", err)
	}
	return nil
}
