package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// wantedNotice is the condition that some rule is for n.kind.
const wantedNotice = `EXISTS (SELECT FROM notification_rules r WHERE NOT r.disabled AND (r.kinds = '{}' OR n.kind = ANY (r.kinds)))`

// NewNotice is a notice that has just happened. Once not "" has no second one with it
// until Until.
type NewNotice struct {
	constellation.Notice
	Once  string
	Until time.Time
}

// InsertNotices adds those notices whose kind some rule is for.
func (db *DB) InsertNotices(ctx context.Context, now time.Time, notices []NewNotice) error {
	if len(notices) == 0 {
		return nil
	}
	return db.exec(ctx, "insert notices", `
		WITH wanted AS (
			SELECT n.*, row_number() OVER (PARTITION BY n.once ORDER BY n.place) AS nth FROM unnest(@at::timestamptz[], @kinds::text[], @subject_kinds::text[], @subject_ids::text[], @subject_names::text[],
				@satellite_ids::uuid[], @satellite_names::text[], @texts::text[], @once::text[], @until::timestamptz[])
				WITH ORDINALITY AS n(at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text, once, until, place)
			WHERE `+wantedNotice+`),
		first AS (
			INSERT INTO notice_marks (key, until) SELECT once, until FROM wanted WHERE once <> '' AND nth = 1 ORDER BY once
			ON CONFLICT (key) DO UPDATE SET until = excluded.until WHERE notice_marks.until <= @now
			RETURNING key)
		INSERT INTO notices (at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text)
		SELECT at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text
		FROM wanted WHERE once = '' OR nth = 1 AND once IN (SELECT key FROM first)
		ORDER BY place`,
		pgx.NamedArgs{
			"now":             now,
			"at":              each(notices, func(n *NewNotice) time.Time { return n.At }),
			"kinds":           each(notices, func(n *NewNotice) string { return string(n.Kind) }),
			"subject_kinds":   each(notices, func(n *NewNotice) string { return n.SubjectKind }),
			"subject_ids":     each(notices, func(n *NewNotice) string { return n.SubjectID }),
			"subject_names":   each(notices, func(n *NewNotice) string { return n.SubjectName }),
			"satellite_ids":   each(notices, func(n *NewNotice) *string { return n.SatelliteID }),
			"satellite_names": each(notices, func(n *NewNotice) string { return n.SatelliteName }),
			"texts":           each(notices, func(n *NewNotice) string { return n.Text }),
			"once":            each(notices, func(n *NewNotice) string { return n.Once }),
			"until":           each(notices, func(n *NewNotice) time.Time { return n.Until }),
		})
}

// LaunchNotice is a launch whose status changed, and what that is for people.
type LaunchNotice struct {
	LaunchID string
	Kind     constellation.NoticeKind
}

// InsertLaunchNotices adds the notices of launches whose status changed, in the
// transaction that changed it, when some rule is for them.
func (db *DB) InsertLaunchNotices(ctx context.Context, at time.Time, launches []LaunchNotice) error {
	if len(launches) == 0 {
		return nil
	}
	return db.exec(ctx, "insert notices of launches", `
		INSERT INTO notices (at, kind, subject_kind, subject_id, subject_name, satellite_id, satellite_name, text)
		SELECT @at, n.kind, 'launch', l.id, l.name, s.id, s.name,
			CASE WHEN n.kind = 'launch.stale' THEN 'no heartbeat since ' || to_char(r.last_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
				ELSE left(r.status_reason, 500) END
		FROM unnest(@ids::uuid[], @kinds::text[]) AS n(id, kind)
			JOIN launches l ON l.id = n.id JOIN satellites s ON s.id = l.satellite_id JOIN launch_reports r ON r.launch_id = l.id
		WHERE `+wantedNotice, pgx.NamedArgs{
		"at":    at,
		"ids":   each(launches, func(l *LaunchNotice) string { return l.LaunchID }),
		"kinds": each(launches, func(l *LaunchNotice) string { return string(l.Kind) }),
	})
}
