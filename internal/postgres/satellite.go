package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var satelliteOrder = ordering{
	sorts: map[string]column{
		"name":           {"s.name_key", "text"},
		"created_at":     {"s.created_at", "timestamptz"},
		"updated_at":     {"s.updated_at", "timestamptz"},
		"expires_at":     {"s.expires_at", "timestamptz"},
		"latest_version": {"s.latest_version", "bigint"},
		"launches":       {"s.launch_count", "bigint"},
		"up":             {"s.launches_up", "bigint"},
		"degraded":       {"s.launches_degraded", "bigint"},
		"stale":          {"s.launches_stale", "bigint"},
	},
	id:     column{"s.id", "uuid"},
	search: "s.name_key",
}

type satelliteRow struct {
	ID               string
	Name             string
	CreatedAt        time.Time
	CreatedBy        string
	ExpiresAt        time.Time
	UpdatedAt        time.Time
	UpdatedBy        string
	Revision         int64
	Labels           constellation.Labels
	LatestVersion    int
	VersionCreatedAt time.Time
	VersionCreatedBy string
	LaunchCount      int
	LaunchesUp       int
	LaunchesDegraded int
	LaunchesStale    int
}

func (r *satelliteRow) satellite() constellation.Satellite {
	return constellation.Satellite{
		ID: r.ID, Name: r.Name, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, ExpiresAt: r.ExpiresAt,
		UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy, Revision: r.Revision, Labels: r.Labels,
		LatestVersion: constellation.SatelliteVersion{
			Number: r.LatestVersion, CreatedAt: r.VersionCreatedAt, CreatedBy: r.VersionCreatedBy,
		},
		LaunchCount: r.LaunchCount, LaunchesUp: r.LaunchesUp, LaunchesDegraded: r.LaunchesDegraded, LaunchesStale: r.LaunchesStale,
	}
}

// namesNear is in how many names, from where a page starts, a search by name
// looks for it before it asks the trigrams: for less time than those take.
const namesNear = 2000

// chosenByName are the satellites of a page that is searched for and ordered by
// name. What many names have is among the first of them; what only late names
// have is found by trigrams in all of them, and put in order.
func chosenByName(k keyset) string {
	first := selection{columns: "s.name_key, s.id", from: "satellites s"}.sql(k.order, "@near", k.after)
	near := selection{columns: "s.name_key, s.id", from: "(" + first + ") s"}.sql(k.order, "@limit", k.search)
	all := selection{columns: "s.id", from: "satellite_names s", where: "(SELECT count(*) FROM near) < @limit"}
	return `
		WITH near AS MATERIALIZED (` + near + `)
		SELECT id FROM near WHERE (SELECT count(*) FROM near) = @limit
		UNION ALL
		(` + k.page(all) + `)`
}

// chosen are the satellites of another page.
var chosen = selection{columns: "s.id", from: "satellites s", where: "(@only_id = '' OR s.id = nullif(@only_id, '')::uuid)"}

// chosen are the satellites of a page.
func (f RunFilter) chosen(k keyset, onlyID string) string {
	switch {
	case f.AlgorithmID != "":
		return f.chosenByUse(k)
	case f.satellites() != "":
		return chosen.sql(k.order, "@limit", k.search, k.after, f.satellites())
	case k.list.Sort == "name" && k.list.anywhere() && onlyID == "":
		return chosenByName(k)
	}
	return k.page(chosen)
}

// Satellites returns a page of satellites with their latest version, but for its
// algorithms, and how many launches they have; onlyID not "" is that one at most. The page is chosen by
// its index alone, as FindLaunches does.
func (db *DB) Satellites(ctx context.Context, onlyID string, f RunFilter, l List) ([]constellation.Satellite, error) {
	rows, err := list[satelliteRow](ctx, db, "list satellites", listQuery{
		order: satelliteOrder,
		within: func(k keyset) selection {
			found := f.chosen(k, onlyID)
			return selection{
				columns: `s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale`,
				from: `(` + found + `) found JOIN satellites s ON s.id = found.id
			JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version`,
			}
		},
		args: f.args(pgx.NamedArgs{"only_id": onlyID, "near": f.near()}),
	}, l)
	if err != nil {
		return nil, err
	}
	return each(rows, (*satelliteRow).satellite), nil
}

// Satellite returns a satellite with its latest version.
func (db *DB) Satellite(ctx context.Context, id string) (*constellation.Satellite, error) {
	row, err := collectOne[satelliteRow](ctx, db, "get satellite", `
		SELECT s.id, s.name, s.created_at, s.created_by, s.expires_at, s.updated_at, s.updated_by, s.revision,
			s.labels, s.latest_version, v.created_at AS version_created_at, v.created_by AS version_created_by,
			s.launch_count, s.launches_up, s.launches_degraded, s.launches_stale
		FROM satellites s JOIN satellite_versions v ON v.satellite_id = s.id AND v.number = s.latest_version
		WHERE s.id = @id`,
		pgx.NamedArgs{"id": id}, noSatellite(id))
	if err != nil {
		return nil, err
	}
	list := []constellation.Satellite{row.satellite()}
	if err := db.LoadLatestVersions(ctx, list); err != nil {
		return nil, err
	}
	return &list[0], nil
}

// SatelliteByName returns the id of the satellite with a folded name, "" when
// there is none.
func (db *DB) SatelliteByName(ctx context.Context, key string) (string, error) {
	return scalar[string](ctx, db, "find satellite by name",
		`SELECT coalesce((SELECT id::text FROM satellites WHERE name_key = @key), '')`, pgx.NamedArgs{"key": key})
}

func noSatellite(id string) error {
	return constellation.Errorf(constellation.KindNotFound, "there is no satellite %s", id)
}

// LockSatellite holds a satellite's row until the end of the transaction, so
// that its editors come one after the other.
func (db *DB) LockSatellite(ctx context.Context, id string) error {
	return db.execOne(ctx, "lock satellite", `SELECT FROM satellites WHERE id = @id FOR UPDATE`,
		pgx.NamedArgs{"id": id}, noSatellite(id))
}

// InsertSatellite adds a satellite; its first version follows.
func (db *DB) InsertSatellite(ctx context.Context, s *constellation.Satellite) error {
	return db.exec(ctx, "insert satellite", `
		INSERT INTO satellites (id, name, name_key, expires_at, created_at, created_by, updated_at, updated_by, revision, latest_version, labels, label_terms)
		VALUES (@id, @name, @key, @expires_at, @created_at, @created_by, @updated_at, @updated_by, @revision, @latest_version, @labels, @label_terms)`,
		satelliteArgs(s))
}

// UpdateSatellite stores a satellite's name, labels, expiry, revision and latest
// version number.
func (db *DB) UpdateSatellite(ctx context.Context, s *constellation.Satellite) error {
	return db.exec(ctx, "update satellite", `
		UPDATE satellites SET name = @name, name_key = @key, expires_at = @expires_at,
			updated_at = @updated_at, updated_by = @updated_by, revision = @revision, latest_version = @latest_version, labels = @labels, label_terms = @label_terms
		WHERE id = @id`,
		satelliteArgs(s))
}

func satelliteArgs(s *constellation.Satellite) pgx.NamedArgs {
	return pgx.NamedArgs{
		"labels": s.Labels.Over(nil), "label_terms": s.Labels.Terms(), "id": s.ID, "name": s.Name, "key": constellation.Fold(s.Name), "expires_at": s.ExpiresAt,
		"created_at": s.CreatedAt, "created_by": s.CreatedBy, "updated_at": s.UpdatedAt, "updated_by": s.UpdatedBy,
		"revision": s.Revision, "latest_version": s.LatestVersion.Number,
	}
}

// DeleteSatellite removes a satellite with its versions, keys and launches.
func (db *DB) DeleteSatellite(ctx context.Context, id string) error {
	return db.exec(ctx, "delete satellite", `DELETE FROM satellites WHERE id = @id`, pgx.NamedArgs{"id": id})
}
