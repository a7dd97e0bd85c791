package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Reporter is a launch as its heartbeats need it.
type Reporter struct {
	LaunchID, SatelliteID string
	TokenSHA256           string
	SatelliteVersion      int // wanted
	Seen                  bool
}

// Reporters returns those of the launches that are, as their heartbeats need them.
func (db *DB) Reporters(ctx context.Context, launchIDs []string) ([]Reporter, error) {
	return collect[Reporter](ctx, db, "get reporters", `
		SELECT l.id AS launch_id, l.satellite_id, l.token_sha256, l.satellite_version, r.launch_id IS NOT NULL AS seen
		FROM unnest(@ids::uuid[]) AS asked(id) JOIN launches l ON l.id = asked.id LEFT JOIN launch_reports r ON r.launch_id = l.id`,
		pgx.NamedArgs{"ids": launchIDs})
}

// Report is what is kept of a launch's heartbeats. State is JSON.
type Report struct {
	LaunchID, SatelliteID   string
	FirstSeenAt, LastSeenAt *time.Time // nil: it never reported
	RunningVersion          int
	SystemVersion           string
	Status                  constellation.LaunchStatus
	StatusReason            string
	StatusSince             time.Time
	Streak                  int
	Ready, Wanted           int
	IntervalSeconds         int
	State                   string
}

// Reports returns the reports of those of the launches that still are.
func (db *DB) Reports(ctx context.Context, launchIDs []string) ([]Report, error) {
	return collect[Report](ctx, db, "get reports", `
		SELECT l.id AS launch_id, l.satellite_id, r.first_seen_at, r.last_seen_at, coalesce(r.running_version, 0) AS running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, coalesce(r.status_since, l.created_at) AS status_since,
			coalesce(r.streak, 0) AS streak, coalesce(r.ready, 0) AS ready, coalesce(r.wanted, 0) AS wanted,
			coalesce(r.interval_seconds, 0) AS interval_seconds, coalesce(r.state, '{}')::text AS state
		FROM unnest(@ids::uuid[]) AS asked(id) JOIN launches l ON l.id = asked.id LEFT JOIN launch_reports r ON r.launch_id = l.id`,
		pgx.NamedArgs{"ids": launchIDs})
}

// InsertReports adds the first reports of launches, and returns the ids of those
// that still are.
func (db *DB) InsertReports(ctx context.Context, reports []Report) ([]string, error) {
	if len(reports) == 0 {
		return nil, nil
	}
	return collectIDs(ctx, db, "insert reports", `
		WITH living AS (SELECT id FROM launches WHERE id = ANY (@ids::uuid[]) FOR KEY SHARE)
		INSERT INTO launch_reports (launch_id, first_seen_at, last_seen_at, running_version, system_version, status, status_reason,
			status_since, streak, ready, wanted, interval_seconds, state)
		SELECT r.id, r.first_seen, r.last_seen, r.version, r.system, r.status, r.reason, r.since, r.streak, r.ready, r.wanted, r.seconds, r.state::json
		FROM unnest(@ids::uuid[], @first_seen::timestamptz[], @last_seen::timestamptz[], @versions::int[], @systems::text[], @statuses::text[],
			@reasons::text[], @since::timestamptz[], @streaks::smallint[], @ready::int[], @wanted::int[], @seconds::int[], @states::text[])
			AS r(id, first_seen, last_seen, version, system, status, reason, since, streak, ready, wanted, seconds, state)
		JOIN living ON living.id = r.id
		RETURNING launch_id`, reportArgs(reports))
}

// UpdateReports stores later reports of launches, and returns the ids of those
// that still are.
func (db *DB) UpdateReports(ctx context.Context, reports []Report) ([]string, error) {
	if len(reports) == 0 {
		return nil, nil
	}
	return collectIDs(ctx, db, "update reports", `
		UPDATE launch_reports SET last_seen_at = r.last_seen, running_version = r.version, system_version = r.system, status = r.status,
			status_reason = r.reason, status_since = r.since, streak = r.streak, ready = r.ready, wanted = r.wanted,
			interval_seconds = r.seconds, state = r.state::json
		FROM unnest(@ids::uuid[], @first_seen::timestamptz[], @last_seen::timestamptz[], @versions::int[], @systems::text[], @statuses::text[],
			@reasons::text[], @since::timestamptz[], @streaks::smallint[], @ready::int[], @wanted::int[], @seconds::int[], @states::text[])
			AS r(id, first_seen, last_seen, version, system, status, reason, since, streak, ready, wanted, seconds, state)
		WHERE launch_id = r.id
		RETURNING launch_id`, reportArgs(reports))
}

func reportArgs(reports []Report) pgx.NamedArgs {
	return pgx.NamedArgs{
		"ids":        each(reports, func(r *Report) string { return r.LaunchID }),
		"first_seen": each(reports, func(r *Report) *time.Time { return r.FirstSeenAt }),
		"last_seen":  each(reports, func(r *Report) *time.Time { return r.LastSeenAt }),
		"versions":   each(reports, func(r *Report) int { return r.RunningVersion }),
		"systems":    each(reports, func(r *Report) string { return r.SystemVersion }),
		"statuses":   each(reports, func(r *Report) string { return string(r.Status) }),
		"reasons":    each(reports, func(r *Report) string { return r.StatusReason }),
		"since":      each(reports, func(r *Report) time.Time { return r.StatusSince }),
		"streaks":    each(reports, func(r *Report) int { return r.Streak }),
		"ready":      each(reports, func(r *Report) int { return r.Ready }),
		"wanted":     each(reports, func(r *Report) int { return r.Wanted }),
		"seconds":    each(reports, func(r *Report) int { return r.IntervalSeconds }),
		"states":     each(reports, func(r *Report) string { return r.State }),
	}
}

// each returns one column of rows, for unnest.
func each[R, C any](rows []R, of func(*R) C) []C {
	column := make([]C, len(rows))
	for i := range rows {
		column[i] = of(&rows[i])
	}
	return column
}

func collectIDs(ctx context.Context, db *DB, what, sql string, args pgx.NamedArgs) ([]string, error) {
	var ids []string
	err := db.retry(sql, func() error {
		rows, err := db.conn().Query(ctx, sql, args)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return ids, translate(err, what)
}

// Silenced is a launch that became stale.
type Silenced struct {
	LaunchID, SatelliteID string
	Was                   constellation.LaunchStatus
}

// Silence marks launches stale whose last heartbeat was longer ago than three
// and a half of their intervals (constellation.StaleAfter), at most limit of
// them; what was not heard before watching counts from there.
func (db *DB) Silence(ctx context.Context, now, watching time.Time, limit int) ([]Silenced, error) {
	return collect[Silenced](ctx, db, "mark launches stale", `
		WITH silent AS (
			SELECT r.launch_id, r.status FROM launch_reports r
			WHERE r.status <> 'stale'
				AND greatest(r.last_seen_at, @watching::timestamptz) < @now::timestamptz - r.interval_seconds * interval '3.5 seconds'
			LIMIT @limit FOR UPDATE)
		UPDATE launch_reports r SET status = 'stale', status_reason = '', status_since = @now, streak = 0
		FROM silent JOIN launches l ON l.id = silent.launch_id
		WHERE r.launch_id = silent.launch_id
		RETURNING r.launch_id, l.satellite_id, silent.status AS was`,
		pgx.NamedArgs{"now": now, "watching": watching, "limit": limit})
}

// StatusMove is how many launches of a satellite came to a status, or left it.
type StatusMove struct {
	SatelliteID         string
	Up, Degraded, Stale int
}

// MoveStatuses adds to satellites' counts of launches by status.
func (db *DB) MoveStatuses(ctx context.Context, moves []StatusMove) error {
	if len(moves) == 0 {
		return nil
	}
	return db.exec(ctx, "count launches by status", `
		WITH held AS (SELECT id FROM satellites WHERE id = ANY (@ids::uuid[]) ORDER BY id FOR NO KEY UPDATE)
		UPDATE satellites s SET launches_up = launches_up + m.up, launches_degraded = launches_degraded + m.degraded, launches_stale = launches_stale + m.stale
		FROM unnest(@ids::uuid[], @up::int[], @degraded::int[], @stale::int[]) AS m(id, up, degraded, stale) JOIN held ON held.id = m.id
		WHERE s.id = m.id`,
		pgx.NamedArgs{
			"ids":      each(moves, func(m *StatusMove) string { return m.SatelliteID }),
			"up":       each(moves, func(m *StatusMove) int { return m.Up }),
			"degraded": each(moves, func(m *StatusMove) int { return m.Degraded }),
			"stale":    each(moves, func(m *StatusMove) int { return m.Stale }),
		})
}

// HistoryPoint is one stretch of a launch's history. Point is JSON.
type HistoryPoint struct {
	LaunchID   string
	Resolution int // seconds
	Slot       int
	At         time.Time
	Point      string
}

// PutHistory stores points, each in its slot of the ring.
func (db *DB) PutHistory(ctx context.Context, points []HistoryPoint) error {
	if len(points) == 0 {
		return nil
	}
	return db.exec(ctx, "store history", `
		INSERT INTO launch_history (launch_id, resolution, slot, at, point)
		SELECT p.id, p.resolution, p.slot, p.at, p.point::json
		FROM unnest(@ids::uuid[], @resolutions::int[], @slots::int[], @at::timestamptz[], @points::text[]) AS p(id, resolution, slot, at, point)
		ON CONFLICT (launch_id, resolution, slot) DO UPDATE SET at = excluded.at, point = excluded.point`,
		pgx.NamedArgs{
			"ids":         each(points, func(p *HistoryPoint) string { return p.LaunchID }),
			"resolutions": each(points, func(p *HistoryPoint) int { return p.Resolution }),
			"slots":       each(points, func(p *HistoryPoint) int { return p.Slot }),
			"at":          each(points, func(p *HistoryPoint) time.Time { return p.At }),
			"points":      each(points, func(p *HistoryPoint) string { return p.Point }),
		})
}

// History returns a launch's points of a resolution from a time on, oldest
// first.
func (db *DB) History(ctx context.Context, launchID string, resolution int, from time.Time) ([]HistoryPoint, error) {
	return collect[HistoryPoint](ctx, db, "get history", `
		SELECT launch_id, resolution, slot, at, point::text AS point FROM launch_history
		WHERE launch_id = @id AND resolution = @resolution AND at >= @from
		ORDER BY at`,
		pgx.NamedArgs{"id": launchID, "resolution": resolution, "from": from})
}

// LaunchState returns what is kept of a launch's heartbeats, as JSON; "" when it
// never reported.
func (db *DB) LaunchState(ctx context.Context, launchID string) (string, error) {
	return scalar[string](ctx, db, "get launch state",
		`SELECT coalesce((SELECT state::text FROM launch_reports WHERE launch_id = @id), '')`, pgx.NamedArgs{"id": launchID})
}
