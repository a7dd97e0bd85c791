package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// chained are the columns of an event that its link is made of.
const chained = `e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address`

// PendingEvents returns rows of the audit log that have no link yet, in the order in
// which they get one.
func (db *DB) PendingEvents(ctx context.Context, limit int) ([]constellation.Event, error) {
	return collect[constellation.Event](ctx, db, "list events without a link", `
		SELECT `+chained+` FROM audit_pending p JOIN events e ON e.id = p.event_id ORDER BY p.event_id LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// AuditPending returns how many rows of the audit log have no link yet, and how many
// have none and were never to get one.
func (db *DB) AuditPending(ctx context.Context) (pending, unknown int64, err error) {
	type row struct{ Pending, Unknown int64 }
	r, err := collectOne[row](ctx, db, "count events without a link", `
		SELECT (SELECT count(*) FROM audit_pending) AS pending,
			(SELECT count(*) FROM events e WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.event_id = e.id)
				AND NOT EXISTS (SELECT FROM audit_pending p WHERE p.event_id = e.id)) AS unknown`, nil, nil)
	if err != nil {
		return 0, 0, err
	}
	return r.Pending, r.Unknown, nil
}

// CountPendingEvents returns how many rows have no link yet.
func (db *DB) CountPendingEvents(ctx context.Context) (int64, error) {
	return scalar[int64](ctx, db, "count events without a link", `SELECT count(*) FROM audit_pending`, nil)
}

// HasPendingEvents reports whether some row has no link yet.
func (db *DB) HasPendingEvents(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "look for events without a link", `SELECT EXISTS (SELECT FROM audit_pending)`, nil)
}

// AuditHead returns the newest link.
func (db *DB) AuditHead(ctx context.Context) (constellation.AuditLink, error) {
	head, err := collectOne[constellation.AuditLink](ctx, db, "get the newest link", `
		SELECT seq, hash FROM audit_chain ORDER BY seq DESC LIMIT 1`, nil, errNoLink)
	if errors.Is(err, errNoLink) {
		start, _, err := db.AuditStart(ctx)
		return start, err
	}
	if err != nil {
		return constellation.AuditLink{}, err
	}
	return *head, nil
}

var errNoLink = errors.New("no link")

// AuditStart returns the link before the oldest row that is kept, and until when
// retention took those before.
func (db *DB) AuditStart(ctx context.Context) (constellation.AuditLink, time.Time, error) {
	type row struct {
		Seq   int64
		Hash  []byte
		Until time.Time
	}
	r, err := collectOne[row](ctx, db, "get the oldest link", `SELECT seq, hash, until FROM audit_trimmed`, nil, errNoLink)
	if errors.Is(err, errNoLink) {
		return constellation.AuditLink{}, time.Time{}, nil
	}
	if err != nil {
		return constellation.AuditLink{}, time.Time{}, err
	}
	return constellation.AuditLink{Seq: r.Seq, Hash: r.Hash}, r.Until, nil
}

// AppendLinks adds the links of events.
func (db *DB) AppendLinks(ctx context.Context, links []constellation.AuditLink, events []constellation.Event) error {
	return db.exec(ctx, "add links", `
		WITH added AS (
			INSERT INTO audit_chain (seq, event_id, hash)
			SELECT * FROM unnest(@seqs::bigint[], @ids::bigint[], @hashes::bytea[])
			RETURNING event_id)
		DELETE FROM audit_pending WHERE event_id IN (SELECT event_id FROM added)`,
		pgx.NamedArgs{
			"seqs":   each(links, func(l *constellation.AuditLink) int64 { return l.Seq }),
			"hashes": each(links, func(l *constellation.AuditLink) []byte { return l.Hash }),
			"ids":    each(events, func(e *constellation.Event) int64 { return e.ID }),
		})
}

// AuditRecords returns rows with their links, from behind a link on. A row that is
// gone has no ID.
func (db *DB) AuditRecords(ctx context.Context, after int64, limit int) ([]constellation.AuditRecord, error) {
	return collect[constellation.AuditRecord](ctx, db, "list links", `
		SELECT c.seq, c.hash, coalesce(e.id, 0) AS id, coalesce(e.at, 'epoch') AS at, coalesce(e.actor, '') AS actor, coalesce(e.actor_key_id, '') AS actor_key_id,
			coalesce(e.action, '') AS action, coalesce(e.target_kind, '') AS target_kind, coalesce(e.target_id, '') AS target_id,
			coalesce(e.target_name, '') AS target_name, e.before, e.after, coalesce(e.address, '') AS address
		FROM audit_chain c LEFT JOIN events e ON e.id = c.event_id
		WHERE c.seq > @after ORDER BY c.seq LIMIT @limit`,
		pgx.NamedArgs{"after": after, "limit": limit})
}

// TrimAudit removes the oldest rows with their links: those before a time, and of
// them those only that all before are too, at most so many, and none behind a link
// that a stream has yet to send.
func (db *DB) TrimAudit(ctx context.Context, before time.Time, streams []string, limit int) (int64, error) {
	return scalar[int64](ctx, db, "remove old events", `
		WITH oldest AS (
			SELECT c.seq, c.event_id, c.hash, e.at FROM audit_chain c LEFT JOIN events e ON e.id = c.event_id
			WHERE c.seq <= coalesce((SELECT min(seq) FROM audit_streams WHERE name = ANY (@streams::text[])), 9223372036854775807)
			ORDER BY c.seq LIMIT @limit),
		gone AS (
			SELECT seq, event_id, hash, at FROM oldest
			WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at >= @before), 9223372036854775807)),
		noted AS (
			INSERT INTO audit_trimmed (seq, hash, until)
			SELECT seq, hash, @before FROM gone ORDER BY seq DESC LIMIT 1
			ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, until = excluded.until),
		links AS (DELETE FROM audit_chain WHERE seq IN (SELECT seq FROM gone)),
		rows AS (DELETE FROM events WHERE id IN (SELECT event_id FROM gone))
		SELECT count(*) FROM gone`,
		pgx.NamedArgs{"before": before, "streams": streams, "limit": limit})
}

// StartAuditStream notes a stream that begins at the newest link, unless it is known.
func (db *DB) StartAuditStream(ctx context.Context, name string) error {
	return db.exec(ctx, "start an audit stream", `
		INSERT INTO audit_streams (name, seq)
		SELECT @name, coalesce((SELECT max(seq) FROM audit_chain), (SELECT seq FROM audit_trimmed), 0)
		ON CONFLICT (name) DO NOTHING`, pgx.NamedArgs{"name": name})
}

// LockAuditStream returns how far a stream has come and keeps others from sending it
// until the end of the transaction; ok is false when another does already.
func (db *DB) LockAuditStream(ctx context.Context, name string) (seq int64, ok bool, err error) {
	rows, err := collect[struct{ Seq int64 }](ctx, db, "lock an audit stream", `
		SELECT seq FROM audit_streams WHERE name = @name FOR UPDATE SKIP LOCKED`, pgx.NamedArgs{"name": name})
	if err != nil || len(rows) == 0 {
		return 0, false, err
	}
	return rows[0].Seq, true, nil
}

// AdvanceAuditStream notes how far a stream has come.
func (db *DB) AdvanceAuditStream(ctx context.Context, name string, seq int64) error {
	return db.exec(ctx, "advance an audit stream", `UPDATE audit_streams SET seq = @seq WHERE name = @name`, pgx.NamedArgs{"name": name, "seq": seq})
}

// AuditBehind returns how many rows each stream has yet to send.
func (db *DB) AuditBehind(ctx context.Context) (map[string]int64, error) {
	type row struct {
		Name   string
		Behind int64
	}
	rows, err := collect[row](ctx, db, "measure audit streams", `
		SELECT name, greatest(coalesce((SELECT max(seq) FROM audit_chain), 0) - seq, 0) AS behind FROM audit_streams`, nil)
	if err != nil {
		return nil, err
	}
	behind := make(map[string]int64, len(rows))
	for _, r := range rows {
		behind[r.Name] = r.Behind
	}
	return behind, nil
}
