package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// changes is the channel of NOTIFY on which servers tell each other what
// changed.
const changes = "constellation_changes"

// Notify notifies every server that listens, once the transaction commits.
// PostgreSQL takes payloads of less than 8000 bytes.
func (db *DB) Notify(ctx context.Context, payload string) error {
	return db.exec(ctx, "notify", `SELECT pg_notify(@channel, @payload)`, pgx.NamedArgs{"channel": changes, "payload": payload})
}

// Listen calls heard with each payload of Notify, until ctx ends or the
// connection breaks; listening is called once nothing more can be missed.
func (db *DB) Listen(ctx context.Context, listening func(), heard func(payload string)) error {
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return translate(err, "listen for changes")
	}
	conn := pooled.Hijack() // it listens for as long as it lives, so it is of no use to others
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `LISTEN `+changes); err != nil {
		return translate(err, "listen for changes")
	}
	listening()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return fmt.Errorf("listen for changes: %w", err)
		}
		heard(n.Payload)
	}
}
