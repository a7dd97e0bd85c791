package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// NoteExpiringLaunches adds a notice for each satellite with launches that expires
// within so many days, once for each number of days.
func (db *DB) NoteExpiringLaunches(ctx context.Context, now time.Time, days []int) error {
	return db.exec(ctx, "note launches that expire", `
		WITH due AS (
			SELECT s.id, s.name, s.expires_at, (SELECT min(d) FROM unnest(@days::int[]) AS d WHERE s.expires_at <= @now::timestamptz + d * interval '1 day') AS days,
				s.launch_count AS launches
			FROM satellites s
			WHERE s.expires_at > @now AND s.expires_at <= @now::timestamptz + (SELECT max(d) FROM unnest(@days::int[]) AS d) * interval '1 day' AND s.launch_count > 0
				AND EXISTS (SELECT FROM (SELECT 'launch.expiring' AS kind) n WHERE `+wantedNotice+`)),
		keyed AS (SELECT *, 'launch.expiring/' || id || '/' || extract(epoch FROM expires_at)::bigint || '/' || days AS key FROM due),
		first AS (INSERT INTO notice_marks (key, until) SELECT key, expires_at + interval '1 day' FROM keyed ON CONFLICT DO NOTHING RETURNING key)
		INSERT INTO notices (at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text)
		SELECT @now, 'launch.expiring', 'satellite', id::text, name, id, name,
			'expires in ' || CASE days WHEN 1 THEN 'a day or less' ELSE days || ' days or less' END || ', on ' || to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"')
				|| ', with ' || CASE launches WHEN 1 THEN 'its launch' ELSE 'its ' || launches || ' launches' END || '; renew it, or no bundle of it can be had from then on'
		FROM keyed WHERE key IN (SELECT key FROM first) ORDER BY keyed.expires_at, keyed.id`,
		pgx.NamedArgs{"now": now, "days": days})
}

// NoteExpiringKeys adds a notice for each API key and caller key that expires within so
// many days, once for each number of days. Keys of an hour are none.
func (db *DB) NoteExpiringKeys(ctx context.Context, now time.Time, days []int) error {
	return db.exec(ctx, "note keys that expire", `
		WITH keys AS (
			SELECT 'api_key' AS subject, k.id, k.name, k.prefix, k.expires_at, 'the API key of ' || a.username AS what, NULL::uuid AS satellite_id, '' AS satellite_name
			FROM api_keys k JOIN accounts a ON a.id = k.account_id
			WHERE k.revoked_at IS NULL AND NOT k.exchanged AND NOT a.disabled AND k.expires_at > @now AND k.expires_at <= @now::timestamptz + @most * interval '1 day'
				AND k.expires_at - k.created_at > interval '2 days'
			UNION ALL
			SELECT 'satellite_key', k.id, k.name, k.prefix, k.expires_at, 'the caller key of ' || s.name, s.id, s.name
			FROM satellite_keys k JOIN satellites s ON s.id = k.satellite_id
			WHERE k.revoked_at IS NULL AND k.expires_at > @now AND k.expires_at <= @now::timestamptz + @most * interval '1 day' AND k.expires_at - k.created_at > interval '2 days'),
		due AS (
			SELECT *, (SELECT min(d) FROM unnest(@days::int[]) AS d WHERE expires_at <= @now::timestamptz + d * interval '1 day') AS days FROM keys
			WHERE EXISTS (SELECT FROM (SELECT 'key.expiring' AS kind) n WHERE `+wantedNotice+`)),
		keyed AS (SELECT *, 'key.expiring/' || id || '/' || extract(epoch FROM expires_at)::bigint || '/' || days AS key FROM due),
		first AS (INSERT INTO notice_marks (key, until) SELECT key, expires_at + interval '1 day' FROM keyed ON CONFLICT DO NOTHING RETURNING key)
		INSERT INTO notices (at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text)
		SELECT @now, 'key.expiring', subject, id::text, name, satellite_id, satellite_name,
			left(what || ' that begins with ' || prefix || ' expires in ' || CASE days WHEN 1 THEN 'a day or less' ELSE days || ' days or less' END || ', on '
				|| to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') || '; make a new one and hand it on', 500)
		FROM keyed WHERE key IN (SELECT key FROM first) ORDER BY keyed.expires_at, keyed.id`,
		pgx.NamedArgs{"now": now, "days": days, "most": days[0]})
}

// EndMark forgets a mark of Event.Once; it reports whether there was one.
func (db *DB) EndMark(ctx context.Context, key string) (bool, error) {
	tag, err := db.run(ctx, `DELETE FROM notice_marks WHERE key = @key`, pgx.NamedArgs{"key": key})
	return err == nil && tag.RowsAffected() > 0, translate(err, "forget a mark")
}
