package postgres

import (
	"context"
	"database/sql"
	"net"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// refusePooler fails with KindConflict when the connections of db are not each
// one of PostgreSQL's: a pooler assigns each transaction the one that is free.
// While a transaction holds one, another connection is asked what it is.
func refusePooler(ctx context.Context, db *sql.DB, config *pgx.ConnConfig) error {
	mine, err := db.Conn(ctx)
	if err != nil {
		return translate(err, "connect to the database")
	}
	defer mine.Close() //nolint:errcheck // back to the pool
	first, err := backend(ctx, mine)
	if err != nil {
		return err
	}
	other, err := db.BeginTx(ctx, nil)
	if err != nil {
		return translate(err, "connect to the database twice")
	}
	defer other.Rollback() //nolint:errcheck // it changed nothing
	held, err := backend(ctx, other)
	if err != nil {
		return err
	}
	if held != first {
		if held, err = backend(ctx, mine); err != nil {
			return err
		}
		if held == first {
			return nil
		}
	}
	return constellation.Errorf(constellation.KindConflict, "the database at %s is behind %s",
		net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), poolerMessage)
}

// backend returns the process of PostgreSQL that answers.
func backend(ctx context.Context, conn interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}) (pid int, err error) {
	err = conn.QueryRowContext(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid) // prepares nothing, which would fail there
	return pid, translate(err, "ask the database for its process")
}
