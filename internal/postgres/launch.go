package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var launchOrder = ordering{
	sorts: map[string]column{
		"name":              {"l.name_key", "text"},
		"created_at":        {"l.created_at", "timestamptz"},
		"satellite_version": {"l.satellite_version", "bigint"},
		"last_seen_at":      {"coalesce(r.last_seen_at, '-infinity')", "timestamptz"},
	},
	id:     column{"l.id", "uuid"},
	search: "l.name_key",
}

// launchColumns are those of a launch l and its report r.
const launchColumns = `l.id, l.satellite_id, l.satellite_version, l.name, l.description, l.created_at, l.created_by,
			l.updated_at, l.updated_by, l.revision, l.labels, r.first_seen_at, r.last_seen_at, r.running_version,
			coalesce(r.system_version, '') AS system_version, coalesce(r.status, 'never_seen') AS status,
			coalesce(r.status_reason, '') AS status_reason, r.status_since, coalesce(r.ready, 0) AS ready,
			coalesce(r.wanted, 0) AS wanted, coalesce(r.interval_seconds, 0) AS report_seconds`

// Launches returns a page of a satellite's launches.
func (db *DB) Launches(ctx context.Context, satelliteID string, f RunFilter, l List) ([]constellation.Launch, error) {
	return list[constellation.Launch](ctx, db, "list launches", listQuery{order: launchOrder, rows: selection{
		columns: launchColumns,
		from:    `launches l LEFT JOIN launch_reports r ON r.launch_id = l.id`,
		where:   and(`l.satellite_id = @satellite_id`, f.launches()),
	}, args: f.args(pgx.NamedArgs{"satellite_id": satelliteID})}, l)
}

// Launch returns a launch by its id, whichever satellite it is of.
func (db *DB) Launch(ctx context.Context, id string) (*constellation.Launch, error) {
	return collectOne[constellation.Launch](ctx, db, "get launch", `
		SELECT `+launchColumns+`
		FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
		WHERE l.id = @id`,
		pgx.NamedArgs{"id": id}, noLaunch(id))
}

// LaunchByName returns the id of a satellite's launch with a folded name, "" when
// there is none.
func (db *DB) LaunchByName(ctx context.Context, satelliteID, key string) (string, error) {
	return scalar[string](ctx, db, "find launch by name",
		`SELECT coalesce((SELECT id::text FROM launches WHERE satellite_id = @satellite_id AND name_key = @key), '')`,
		pgx.NamedArgs{"satellite_id": satelliteID, "key": key})
}

func noLaunch(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no launch %s", id)
}

// LockLaunch holds a launch's row until the end of the transaction.
func (db *DB) LockLaunch(ctx context.Context, id string) error {
	return db.execOne(ctx, "lock launch", `SELECT FROM launches WHERE id = @id FOR UPDATE`, pgx.NamedArgs{"id": id}, noLaunch(id))
}

// LaunchToken returns a launch's sealed token.
func (db *DB) LaunchToken(ctx context.Context, id string) ([]byte, error) {
	return scalar[[]byte](ctx, db, "get launch token",
		`SELECT (SELECT token_sealed FROM launches WHERE id = @id)`, pgx.NamedArgs{"id": id})
}

// InsertLaunch adds a launch with its sealed token and the token's SHA-256,
// and counts it.
func (db *DB) InsertLaunch(ctx context.Context, l *constellation.Launch, tokenSealed []byte, tokenSHA256 string) error {
	args := launchArgs(l)
	args["token_sealed"], args["token_sha256"] = tokenSealed, tokenSHA256
	return db.exec(ctx, "insert launch", `
		WITH counted AS (UPDATE satellites SET launch_count = launch_count + 1 WHERE id = @satellite_id)
		INSERT INTO launches (id, satellite_id, satellite_version, name, name_key, description, token_sealed, token_sha256,
			created_at, created_by, updated_at, updated_by, revision, labels, label_terms)
		VALUES (@id, @satellite_id, @satellite_version, @name, @key, @description, @token_sealed, @token_sha256,
			@created_at, @created_by, @updated_at, @updated_by, @revision, @labels, @label_terms)`, args)
}

// UpdateLaunch stores a launch's version, name, description and labels.
func (db *DB) UpdateLaunch(ctx context.Context, l *constellation.Launch) error {
	return db.exec(ctx, "update launch", `
		UPDATE launches SET satellite_version = @satellite_version, name = @name, name_key = @key, description = @description,
			updated_at = @updated_at, updated_by = @updated_by, revision = @revision, labels = @labels, label_terms = @label_terms
		WHERE id = @id`, launchArgs(l))
}

func launchArgs(l *constellation.Launch) pgx.NamedArgs {
	return pgx.NamedArgs{
		"labels": l.Labels.Over(nil), "label_terms": l.Labels.Terms(), "id": l.ID, "satellite_id": l.SatelliteID, "satellite_version": l.SatelliteVersion, "name": l.Name,
		"key": constellation.Fold(l.Name), "description": l.Description, "created_at": l.CreatedAt, "created_by": l.CreatedBy,
		"updated_at": l.UpdatedAt, "updated_by": l.UpdatedBy, "revision": l.Revision,
	}
}

// DeleteLaunch removes a launch with what it reported, and no longer counts it.
func (db *DB) DeleteLaunch(ctx context.Context, id string) error {
	// The report goes first, by itself: its status is what counts, and a
	// heartbeat may be changing it.
	statuses, err := collectIDs(ctx, db, "delete report", `DELETE FROM launch_reports WHERE launch_id = @id RETURNING status`, pgx.NamedArgs{"id": id})
	if err != nil {
		return err
	}
	status := constellation.LaunchNeverSeen
	if len(statuses) > 0 {
		status = constellation.LaunchStatus(statuses[0])
	}
	return db.exec(ctx, "delete launch", `
		WITH gone AS (DELETE FROM launches WHERE id = @id RETURNING satellite_id)
		UPDATE satellites s SET launch_count = launch_count - 1, launches_up = launches_up - (@status::text = 'up')::int,
			launches_degraded = launches_degraded - (@status::text = 'degraded')::int, launches_stale = launches_stale - (@status::text = 'stale')::int
		FROM gone WHERE s.id = gone.satellite_id`,
		pgx.NamedArgs{"id": id, "status": string(status)})
}
