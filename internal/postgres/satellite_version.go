package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var satelliteVersionOrder = ordering{
	sorts: map[string]column{"number": {"v.number", "bigint"}},
	id:    column{"v.number", "bigint"},
	// A version has no name; a search looks at its number and maker.
	search: "(v.number::text || ' ' || lower(v.created_by))",
}

type satelliteVersionRow struct {
	Number    int
	CreatedAt time.Time
	CreatedBy string
}

// versionKey names a satellite version.
type versionKey struct {
	id     string
	number int
}

// SatelliteVersions gives a page of a satellite's versions.
func (db *DB) SatelliteVersions(ctx context.Context, satelliteID string, l List) ([]constellation.SatelliteVersion, error) {
	sql, args := satelliteVersionOrder.page(`
		SELECT v.number, v.created_at, v.created_by
		FROM satellite_versions v
		WHERE v.satellite_id = @id /*page*/
		/*order*/`, l, pgx.NamedArgs{"id": satelliteID})
	rows, err := collect[satelliteVersionRow](ctx, db, "list satellite versions", sql, args)
	if err != nil {
		return nil, err
	}
	keys := make([]versionKey, len(rows))
	for i, r := range rows {
		keys[i] = versionKey{satelliteID, r.Number}
	}
	algorithms, err := db.satelliteAlgorithms(ctx, keys)
	if err != nil {
		return nil, err
	}
	list := make([]constellation.SatelliteVersion, len(rows))
	for i, r := range rows {
		list[i] = constellation.SatelliteVersion{
			Number: r.Number, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy, Algorithms: algorithms[keys[i]],
		}
	}
	return list, nil
}

// SatelliteVersion gives one version of a satellite.
func (db *DB) SatelliteVersion(ctx context.Context, satelliteID string, number int) (*constellation.SatelliteVersion, error) {
	row, err := collectOne[satelliteVersionRow](ctx, db, "get satellite version", `
		SELECT number, created_at, created_by FROM satellite_versions
		WHERE satellite_id = @id AND number = @number`,
		pgx.NamedArgs{"id": satelliteID, "number": number},
		constellation.Errorf(constellation.KindNotFound, "satellite %s has no version %d", satelliteID, number))
	if err != nil {
		return nil, err
	}
	key := versionKey{satelliteID, number}
	algorithms, err := db.satelliteAlgorithms(ctx, []versionKey{key})
	if err != nil {
		return nil, err
	}
	return &constellation.SatelliteVersion{
		Number: row.Number, CreatedAt: row.CreatedAt, CreatedBy: row.CreatedBy, Algorithms: algorithms[key],
	}, nil
}

// InsertSatelliteVersion adds a version; versionIDs are the ids of the
// algorithm versions, in the order of v.Algorithms.
func (db *DB) InsertSatelliteVersion(ctx context.Context, satelliteID string, v *constellation.SatelliteVersion, versionIDs []string) error {
	err := db.exec(ctx, "insert satellite version", `
		INSERT INTO satellite_versions (satellite_id, number, created_at, created_by)
		VALUES (@id, @number, @created_at, @created_by)`,
		pgx.NamedArgs{"id": satelliteID, "number": v.Number, "created_at": v.CreatedAt, "created_by": v.CreatedBy})
	if err != nil {
		return err
	}
	urls, replicas := make([]string, len(v.Algorithms)), make([]int, len(v.Algorithms))
	for i, a := range v.Algorithms {
		urls[i], replicas[i] = a.VanityURL, a.Replicas
	}
	return db.exec(ctx, "insert satellite algorithms", `
		INSERT INTO satellite_algorithms (satellite_id, number, position, vanity_url, algorithm_version_id, replicas)
		SELECT @id::uuid, @number::int, row.position, row.vanity_url, row.version_id, row.replicas
		FROM unnest(@urls::text[], @version_ids::uuid[], @replicas::int[])
			WITH ORDINALITY AS row(vanity_url, version_id, replicas, position)`,
		pgx.NamedArgs{"id": satelliteID, "number": v.Number, "urls": urls, "version_ids": versionIDs, "replicas": replicas})
}

// satelliteAlgorithms gives the algorithms of many satellite versions in one
// query, by position.
func (db *DB) satelliteAlgorithms(ctx context.Context, keys []versionKey) (map[versionKey][]constellation.SatelliteAlgorithm, error) {
	type row struct {
		SatelliteID string
		Number      int
		VanityURL   string
		Owner       string
		Name        string
		GitHash     string
		Replicas    int
	}
	ids, numbers := make([]string, len(keys)), make([]int, len(keys))
	for i, k := range keys {
		ids[i], numbers[i] = k.id, k.number
	}
	rows, err := collect[row](ctx, db, "get satellite algorithms", `
		SELECT s.satellite_id, s.number, s.vanity_url, o.name AS owner, g.name, v.git_hash, s.replicas
		FROM unnest(@ids::uuid[], @numbers::int[]) AS wanted(id, number)
		JOIN satellite_algorithms s ON s.satellite_id = wanted.id AND s.number = wanted.number
		JOIN algorithm_versions v ON v.id = s.algorithm_version_id
		JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
		ORDER BY s.satellite_id, s.number, s.position`,
		pgx.NamedArgs{"ids": ids, "numbers": numbers})
	if err != nil {
		return nil, err
	}
	algorithms := make(map[versionKey][]constellation.SatelliteAlgorithm, len(keys))
	for _, r := range rows {
		k := versionKey{r.SatelliteID, r.Number}
		algorithms[k] = append(algorithms[k], constellation.SatelliteAlgorithm{
			VanityURL: r.VanityURL, Replicas: r.Replicas,
			Algorithm: constellation.AlgorithmRef{Owner: r.Owner, Name: r.Name, Hash: r.GitHash},
		})
	}
	return algorithms, nil
}

func (db *DB) withAlgorithms(ctx context.Context, rows []satelliteRow) ([]constellation.Satellite, error) {
	keys := make([]versionKey, len(rows))
	for i, r := range rows {
		keys[i] = versionKey{r.ID, r.LatestVersion}
	}
	algorithms, err := db.satelliteAlgorithms(ctx, keys)
	if err != nil {
		return nil, err
	}
	list := make([]constellation.Satellite, len(rows))
	for i, r := range rows {
		list[i] = r.satellite()
		list[i].LatestVersion.Algorithms = algorithms[keys[i]]
	}
	return list, nil
}
