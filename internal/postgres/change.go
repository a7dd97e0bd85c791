package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// changes is the channel of NOTIFY on which servers tell each other what
// changed.
const changes = "constellation_changes"

// How a server that is not told of changes looks for them: those of the last while
// that it has not seen. A transaction may commit that much after it notified.
const (
	pollEvery = 500 * time.Millisecond
	pollWhile = 30 * time.Second
	trimEvery = 60 // polls
)

// Notify notifies every server that listens or polls, once the transaction commits.
// PostgreSQL takes payloads of less than 8000 bytes.
func (db *DB) Notify(ctx context.Context, payload string) error {
	return db.exec(ctx, "notify", `
		WITH polled AS (INSERT INTO changes (payload) SELECT @payload
			WHERE EXISTS (SELECT FROM servers WHERE polls AND seen_at > now() - interval '1 minute'))
		SELECT pg_notify(@channel, @payload)`, pgx.NamedArgs{"channel": changes, "payload": payload})
}

// Listen calls heard with each payload of Notify, until ctx ends or the
// connection breaks; listening is called once nothing more can be missed.
func (db *DB) Listen(ctx context.Context, listening func(), heard func(payload string)) error {
	if db.Polls() {
		return db.poll(ctx, listening, heard)
	}
	conn, err := db.listener(ctx)
	if err != nil {
		return translate(err, "listen for changes")
	}
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

// listener returns a connection that listens for as long as it lives, so that it is
// of no use to others.
func (db *DB) listener(ctx context.Context) (*pgx.Conn, error) {
	if db.session != nil {
		return pgx.ConnectConfig(ctx, db.session)
	}
	pooled, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return pooled.Hijack(), nil
}

type change struct {
	ID      int64
	Payload string
}

// poll is Listen for where no connection can listen.
func (db *DB) poll(ctx context.Context, listening func(), heard func(payload string)) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var seen map[int64]bool
	for n := 0; ; n++ {
		list, err := collect[change](ctx, db, "look for changes", `
			SELECT id, payload FROM changes WHERE at > clock_timestamp() - make_interval(secs => @seconds) ORDER BY id`,
			pgx.NamedArgs{"seconds": pollWhile.Seconds()})
		if err != nil {
			return err
		}
		now := make(map[int64]bool, len(list))
		for _, c := range list {
			if now[c.ID] = true; seen != nil && !seen[c.ID] {
				heard(c.Payload)
			}
		}
		if seen == nil {
			listening()
		}
		seen = now
		if n%trimEvery == trimEvery-1 {
			err := db.exec(ctx, "forget changes", `DELETE FROM changes WHERE at < clock_timestamp() - make_interval(secs => @seconds)`,
				pgx.NamedArgs{"seconds": 2 * pollWhile.Seconds()})
			if err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("look for changes: %w", ctx.Err())
		case <-tick.C:
		}
	}
}
