package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SeizeSatelliteVersion holds a satellite version until the transaction ends, so that
// no launch gets it meanwhile. It reports whether there is one.
func (db *DB) SeizeSatelliteVersion(ctx context.Context, satelliteID string, number int) (bool, error) {
	held, err := collectIDs(ctx, db, "hold a satellite version", `
		SELECT number::text FROM satellite_versions WHERE satellite_id = @id AND number = @number FOR UPDATE`,
		pgx.NamedArgs{"id": satelliteID, "number": number})
	return len(held) > 0, err
}

// SatelliteVersionUsers returns up to limit launches that are to have a satellite
// version, or say that they run it, by name.
func (db *DB) SatelliteVersionUsers(ctx context.Context, satelliteID string, number, limit int) ([]constellation.SatelliteVersionUser, error) {
	return collect[constellation.SatelliteVersionUser](ctx, db, "list users of a satellite version", `
		SELECT l.id AS launch_id, l.name AS launch_name, l.satellite_version <> @number AS runs_it_still
		FROM launches l LEFT JOIN launch_reports r ON r.launch_id = l.id
		WHERE l.satellite_id = @id AND (l.satellite_version = @number OR r.running_version = @number)
		ORDER BY l.name_key LIMIT @limit`, pgx.NamedArgs{"id": satelliteID, "number": number, "limit": limit})
}

// DeleteSatelliteVersion removes a version of a satellite that no launch has.
func (db *DB) DeleteSatelliteVersion(ctx context.Context, satelliteID string, number int) error {
	return db.exec(ctx, "delete satellite version", `
		DELETE FROM satellite_versions WHERE satellite_id = @id AND number = @number`, pgx.NamedArgs{"id": satelliteID, "number": number})
}

// SatelliteVersionBefore returns the number of the newest version of a satellite below
// another, 0 when there is none.
func (db *DB) SatelliteVersionBefore(ctx context.Context, satelliteID string, number int) (int, error) {
	type row struct{ Number int }
	rows, err := collect[row](ctx, db, "find the satellite version before", `
		SELECT coalesce(max(number), 0)::int AS number FROM satellite_versions WHERE satellite_id = @id AND number < @number`,
		pgx.NamedArgs{"id": satelliteID, "number": number})
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	return rows[0].Number, nil
}
