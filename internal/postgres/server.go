package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Server is one server of those on this database.
type Server struct {
	ID, Version       string
	StartedAt, SeenAt time.Time
	ClockAhead        *float64 // seconds that its clock is before the database's; nil of an older release
}

// Pool returns the connections themselves, for what brings its own SQL.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Tx returns the transaction that db is, nil outside of one.
func (db *DB) Tx() pgx.Tx { return db.tx }

// KeepServer notes that a server runs, by the database's clock,
// and how far its own is from that.
func (db *DB) KeepServer(ctx context.Context, s Server, clock time.Time) error {
	return db.exec(ctx, "note that this server runs", `
		INSERT INTO servers (id, version, started_at, seen_at, polls, clock_ahead)
		VALUES (@id, @version, @started_at, now(), @polls, extract(epoch FROM @clock::timestamptz - clock_timestamp()))
		ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, clock_ahead = excluded.clock_ahead`,
		pgx.NamedArgs{"id": s.ID, "version": s.Version, "started_at": s.StartedAt, "clock": clock, "polls": db.Polls()})
}

// RemoveServer forgets a server that ends.
func (db *DB) RemoveServer(ctx context.Context, id string) error {
	return db.exec(ctx, "forget this server", `DELETE FROM servers WHERE id = @id`, pgx.NamedArgs{"id": id})
}

// Servers returns the servers that were seen within the last while, oldest first.
func (db *DB) Servers(ctx context.Context, while time.Duration) ([]Server, error) {
	return collect[Server](ctx, db, "list servers", `
		SELECT id, version, started_at, seen_at, clock_ahead FROM servers
		WHERE seen_at > now() - make_interval(secs => @seconds) ORDER BY started_at, id`,
		pgx.NamedArgs{"seconds": while.Seconds()})
}

// ForgetServers removes servers that were not seen for a while.
func (db *DB) ForgetServers(ctx context.Context, while time.Duration) error {
	return db.exec(ctx, "forget servers", `DELETE FROM servers WHERE seen_at < now() - make_interval(secs => @seconds)`,
		pgx.NamedArgs{"seconds": while.Seconds()})
}

// RescueJobs hands jobs back whose servers were not seen for a while, and returns
// how many. A job that has no attempt left is given up: what ends its server each
// time is not tried for ever.
func (db *DB) RescueJobs(ctx context.Context, while time.Duration) (int, error) {
	tag, err := db.run(ctx, `
		WITH orphans AS (
			SELECT id, attempt >= max_attempts AS spent FROM river_job
			WHERE state = 'running' AND attempted_at < now() - make_interval(secs => @seconds)
				AND NOT EXISTS (SELECT FROM servers
					WHERE servers.id = attempted_by[array_upper(attempted_by, 1)] AND seen_at > now() - make_interval(secs => @seconds))
			FOR UPDATE SKIP LOCKED)
		UPDATE river_job SET
			state = CASE WHEN spent THEN 'discarded' ELSE 'available' END::river_job_state,
			finalized_at = CASE WHEN spent THEN now() END,
			scheduled_at = now(),
			errors = array_append(errors, jsonb_build_object('at', now(), 'attempt', attempt, 'error', 'the server that ran it ended, or lost the database', 'trace', ''))
		FROM orphans WHERE river_job.id = orphans.id`,
		pgx.NamedArgs{"seconds": while.Seconds()})
	return int(tag.RowsAffected()), translate(err, "hand jobs back")
}

// JobCount is how many jobs of a kind are in a state.
type JobCount struct {
	Kind, State string
	Jobs        int64
}

// JobCounts returns how many jobs wait, run or were given up.
func (db *DB) JobCounts(ctx context.Context) ([]JobCount, error) {
	return collect[JobCount](ctx, db, "count jobs", `
		SELECT kind, state::text AS state, count(*) AS jobs FROM river_job
		WHERE state IN ('available', 'discarded', 'pending', 'retryable', 'running', 'scheduled')
		GROUP BY kind, state`, nil)
}

// JobCompletedAt returns when a job of a kind was last completed, nil when none is
// known: jobs that were completed are forgotten after a day.
func (db *DB) JobCompletedAt(ctx context.Context, kind string) (*time.Time, error) {
	return scalar[*time.Time](ctx, db, "look for the last job",
		`SELECT max(finalized_at) FROM river_job WHERE kind = @kind AND state = 'completed'`, pgx.NamedArgs{"kind": kind})
}
