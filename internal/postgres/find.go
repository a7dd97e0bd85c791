package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// FoundLaunch is a launch that a search across satellites found.
type FoundLaunch struct {
	ID, Name, SatelliteID, SatelliteName string
}

// shortQuery is below how many bytes trigrams cannot help, so that only the
// start of names is looked at.
const shortQuery = 3

// pattern is what LIKE finds a folded name with q by.
func pattern(q string) string {
	p := likeEscaper.Replace(q) + "%"
	if len(q) >= shortQuery {
		p = "%" + p
	}
	return p
}

// FindLaunches returns the first launches, by name, whose folded name has q. They
// are chosen first, in the index of names alone, which has the last of 300,000
// names twenty times as soon as the table does.
func (db *DB) FindLaunches(ctx context.Context, q string, limit int) ([]FoundLaunch, error) {
	return collect[FoundLaunch](ctx, db, "find launches", `
		SELECT l.id, l.name, s.id AS satellite_id, s.name AS satellite_name
		FROM (
			SELECT id, name_key FROM launches
			WHERE name_key LIKE @pattern
			ORDER BY name_key, id
			LIMIT @limit
		) found JOIN launches l ON l.id = found.id JOIN satellites s ON s.id = l.satellite_id
		ORDER BY found.name_key, found.id`, pgx.NamedArgs{"pattern": pattern(q), "limit": limit})
}

// FindSatellites returns the first satellites, by name, whose folded name has q,
// chosen as FindLaunches does.
func (db *DB) FindSatellites(ctx context.Context, q string, limit int) ([]FoundSatellite, error) {
	return collect[FoundSatellite](ctx, db, "find satellites", `
		SELECT s.id, s.name
		FROM (
			SELECT id, name_key FROM satellites
			WHERE name_key LIKE @pattern
			ORDER BY name_key, id
			LIMIT @limit
		) found JOIN satellites s ON s.id = found.id
		ORDER BY found.name_key, found.id`, pgx.NamedArgs{"pattern": pattern(q), "limit": limit})
}

// FoundSatellite is a satellite that a search found.
type FoundSatellite struct{ ID, Name string }

// FindByID returns the satellite or the launch with an ID, whole, if there is
// one.
func (db *DB) FindByID(ctx context.Context, id string) ([]FoundSatellite, []FoundLaunch, error) {
	args := pgx.NamedArgs{"id": id}
	satellites, err := collect[FoundSatellite](ctx, db, "find satellite by ID", `SELECT id, name FROM satellites WHERE id = @id`, args)
	if err != nil {
		return nil, nil, err
	}
	launches, err := collect[FoundLaunch](ctx, db, "find launch by ID", `
		SELECT l.id, l.name, s.id AS satellite_id, s.name AS satellite_name
		FROM launches l JOIN satellites s ON s.id = l.satellite_id
		WHERE l.id = @id`, args)
	return satellites, launches, err
}
