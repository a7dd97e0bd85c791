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

// SatelliteVersions returns a page of a satellite's versions, without their
// algorithms and schedules: LoadVersions has them.
func (db *DB) SatelliteVersions(ctx context.Context, satelliteID string, l List) ([]constellation.SatelliteVersion, error) {
	rows, err := list[satelliteVersionRow](ctx, db, "list satellite versions", listQuery{order: satelliteVersionOrder, rows: selection{
		columns: `v.number, v.created_at, v.created_by`,
		from:    `satellite_versions v`,
		where:   `v.satellite_id = @id`,
	}, args: pgx.NamedArgs{"id": satelliteID}}, l)
	if err != nil {
		return nil, err
	}
	list := make([]constellation.SatelliteVersion, len(rows))
	for i, r := range rows {
		list[i] = constellation.SatelliteVersion{Number: r.Number, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy}
	}
	return list, nil
}

// LoadVersions reads the algorithms and schedules of versions of a satellite.
func (db *DB) LoadVersions(ctx context.Context, satelliteID string, versions []constellation.SatelliteVersion) error {
	keys, into := make([]versionKey, len(versions)), make([]*constellation.SatelliteVersion, len(versions))
	for i := range versions {
		keys[i], into[i] = versionKey{satelliteID, versions[i].Number}, &versions[i]
	}
	return db.load(ctx, keys, into)
}

// load reads what the versions of keys consist of into the versions.
func (db *DB) load(ctx context.Context, keys []versionKey, into []*constellation.SatelliteVersion) error {
	algorithms, err := db.satelliteAlgorithms(ctx, keys)
	if err != nil {
		return err
	}
	weights, err := db.satelliteWeights(ctx, keys)
	if err != nil {
		return err
	}
	schedules, err := db.satelliteSchedules(ctx, keys)
	for i, k := range keys {
		into[i].Algorithms, into[i].Schedules = algorithms[k], schedules[k]
		for j, a := range algorithms[k] {
			algorithms[k][j].Weights = weights[k][a.VanityURL]
		}
	}
	return err
}

// KnownVanityURLs returns those of urls that a version of the satellite has.
func (db *DB) KnownVanityURLs(ctx context.Context, satelliteID string, urls []string) ([]string, error) {
	return collectIDs(ctx, db, "list vanity URLs", `
		SELECT DISTINCT vanity_url FROM satellite_algorithms WHERE satellite_id = @id AND vanity_url = ANY (@urls)`,
		pgx.NamedArgs{"id": satelliteID, "urls": urls})
}

// SatelliteRepositories returns the repository of every algorithm that a version
// of the satellite has.
func (db *DB) SatelliteRepositories(ctx context.Context, satelliteID string) ([]string, error) {
	return collectIDs(ctx, db, "list algorithms of a satellite", `
		SELECT DISTINCT g.repository FROM satellite_algorithms s
		JOIN algorithm_versions v ON v.id = s.algorithm_version_id JOIN algorithms g ON g.id = v.algorithm_id
		WHERE s.satellite_id = @id
		UNION SELECT g.repository FROM satellite_weights s
		JOIN algorithm_versions v ON v.id = s.algorithm_version_id JOIN algorithms g ON g.id = v.algorithm_id
		WHERE s.satellite_id = @id`, pgx.NamedArgs{"id": satelliteID})
}

// SatelliteVersion returns one version of a satellite.
func (db *DB) SatelliteVersion(ctx context.Context, satelliteID string, number int) (*constellation.SatelliteVersion, error) {
	row, err := collectOne[satelliteVersionRow](ctx, db, "get satellite version", `
		SELECT number, created_at, created_by FROM satellite_versions
		WHERE satellite_id = @id AND number = @number`,
		pgx.NamedArgs{"id": satelliteID, "number": number},
		constellation.Errorf(constellation.KindNotFound, "satellite %s has no version %d", satelliteID, number))
	if err != nil {
		return nil, err
	}
	version := &constellation.SatelliteVersion{Number: row.Number, CreatedAt: row.CreatedAt, CreatedBy: row.CreatedBy}
	return version, db.load(ctx, []versionKey{{satelliteID, number}}, []*constellation.SatelliteVersion{version})
}

// VersionIDs are the ids of what a satellite version refers to: its algorithms'
// versions, in their order, and those of all their weights, in theirs.
type VersionIDs struct{ Algorithms, Weights []string }

// InsertSatelliteVersion adds a version with its schedules and weights.
func (db *DB) InsertSatelliteVersion(ctx context.Context, satelliteID string, v *constellation.SatelliteVersion, ids VersionIDs) error {
	err := db.exec(ctx, "insert satellite version", `
		INSERT INTO satellite_versions (satellite_id, number, created_at, created_by)
		VALUES (@id, @number, @created_at, @created_by)`,
		pgx.NamedArgs{"id": satelliteID, "number": v.Number, "created_at": v.CreatedAt, "created_by": v.CreatedBy})
	if err != nil {
		return err
	}
	err = db.exec(ctx, "insert satellite algorithms", `
		INSERT INTO satellite_algorithms (satellite_id, number, position, vanity_url, algorithm_version_id, replicas, min_replicas, max_replicas, settings, runtime_revision)
		SELECT @id::uuid, @number::int, row.position, row.vanity_url, row.version_id, row.replicas, row.least, row.most, row.settings, row.revision
		FROM unnest(@urls::text[], @version_ids::uuid[], @replicas::int[], @least::int[], @most::int[], @settings::jsonb[], @revisions::int[])
			WITH ORDINALITY AS row(vanity_url, version_id, replicas, least, most, settings, revision, position)`,
		pgx.NamedArgs{
			"id": satelliteID, "number": v.Number, "version_ids": ids.Algorithms,
			"urls":      each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) string { return a.VanityURL }),
			"revisions": each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) int { return max(1, a.RuntimeRevision) }),
			"replicas":  each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) int { return a.Replicas }),
			"least":     each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) *int { return a.MinReplicas }),
			"most":      each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) int { return a.MaxReplicas }),
			"settings":  each(v.Algorithms, func(a *constellation.SatelliteAlgorithm) constellation.PodSettings { return a.Settings }),
		})
	if err != nil {
		return err
	}
	if err := db.insertWeights(ctx, satelliteID, v, ids.Weights); err != nil || len(v.Schedules) == 0 {
		return err
	}
	return db.insertSchedules(ctx, satelliteID, v.Number, v.Schedules)
}

// satelliteAlgorithms returns the algorithms of many satellite versions in one
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
		MinReplicas *int
		MaxReplicas int
		Settings    constellation.PodSettings

		RuntimeRevision int
	}
	ids, numbers := make([]string, len(keys)), make([]int, len(keys))
	for i, k := range keys {
		ids[i], numbers[i] = k.id, k.number
	}
	rows, err := collect[row](ctx, db, "get satellite algorithms", `
		SELECT s.satellite_id, s.number, s.vanity_url, o.name AS owner, g.name, v.git_hash, s.replicas, s.min_replicas, s.max_replicas, s.settings, s.runtime_revision
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
			VanityURL: r.VanityURL, Replicas: r.Replicas, MinReplicas: r.MinReplicas, MaxReplicas: r.MaxReplicas, Settings: r.Settings, RuntimeRevision: r.RuntimeRevision,
			Algorithm: constellation.AlgorithmRef{Owner: r.Owner, Name: r.Name, Hash: r.GitHash},
		})
	}
	return algorithms, nil
}

// LoadLatestVersions reads the algorithms and schedules of satellites' latest
// versions.
func (db *DB) LoadLatestVersions(ctx context.Context, satellites []constellation.Satellite) error {
	keys, into := make([]versionKey, len(satellites)), make([]*constellation.SatelliteVersion, len(satellites))
	for i := range satellites {
		keys[i], into[i] = versionKey{satellites[i].ID, satellites[i].LatestVersion.Number}, &satellites[i].LatestVersion
	}
	return db.load(ctx, keys, into)
}
