package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var algorithmOrder = ordering{
	sorts: map[string]column{
		"name":       {"g.repository", "text"},
		"created_at": {"g.created_at", "timestamptz"},
	},
	id:     column{"g.id", "uuid"},
	search: "g.repository",
}

var algorithmVersionOrder = ordering{
	sorts: map[string]column{
		"created_at": {"v.created_at", "timestamptz"},
		"git_hash":   {"v.git_hash", "text"},
	},
	id:     column{"v.id", "uuid"},
	search: "(v.git_hash || ' ' || lower(v.semantic_version))",
}

type algorithmRow struct {
	ID           string
	Owner        string
	Name         string
	CreatedAt    time.Time
	VersionCount int
}

func (r algorithmRow) algorithm(latest *constellation.AlgorithmVersion) constellation.Algorithm {
	return constellation.Algorithm{
		ID: r.ID, Owner: r.Owner, Name: r.Name, CreatedAt: r.CreatedAt, VersionCount: r.VersionCount, LatestVersion: latest,
	}
}

type algorithmVersionRow struct {
	ID              string
	AlgorithmID     string
	Owner           string
	Name            string
	Repository      string
	GitHash         string
	SemanticVersion string
	State           constellation.VersionState
	Digest          string
	MediaType       string
	Size            int64
	Platforms       []string
	Runtime         constellation.Runtime
	Weights         *constellation.Weights
	RuntimeRevision int
	CorrectedAt     *time.Time
	CorrectedBy     string
	CreatedAt       time.Time
	CreatedBy       string
}

func (r algorithmVersionRow) version() constellation.AlgorithmVersion {
	return constellation.AlgorithmVersion{
		ID: r.ID, Owner: r.Owner, Name: r.Name, GitHash: r.GitHash, SemanticVersion: r.SemanticVersion, State: r.State,
		Image: constellation.Image{
			Repository: r.Repository, Digest: r.Digest, MediaType: r.MediaType, Size: r.Size, Platforms: r.Platforms,
		},
		Runtime: r.Runtime, Weights: r.Weights, RuntimeRevision: r.RuntimeRevision, CorrectedAt: r.CorrectedAt, CorrectedBy: r.CorrectedBy, CreatedAt: r.CreatedAt, CreatedBy: r.CreatedBy,
	}
}

func versions(rows []algorithmVersionRow) []constellation.AlgorithmVersion {
	list := make([]constellation.AlgorithmVersion, len(rows))
	for i, r := range rows {
		list[i] = r.version()
	}
	return list
}

// Algorithms returns a page of algorithms, each with its newest ready version.
func (db *DB) Algorithms(ctx context.Context, l List) ([]constellation.Algorithm, error) {
	rows, err := list[algorithmRow](ctx, db, "list algorithms", listQuery{order: algorithmOrder, rows: selection{
		columns: `g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count`,
		from: `algorithms g JOIN owners o ON o.id = g.owner_id`,
	}}, l)
	if err != nil {
		return nil, err
	}
	return db.withLatest(ctx, rows)
}

// Algorithm returns an algorithm by owner and name, ignoring case.
func (db *DB) Algorithm(ctx context.Context, owner, name string) (*constellation.Algorithm, error) {
	row, err := collectOne[algorithmRow](ctx, db, "get algorithm", `
		SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
		FROM algorithms g JOIN owners o ON o.id = g.owner_id
		WHERE g.repository = @repository`,
		pgx.NamedArgs{"repository": constellation.AlgorithmRef{Owner: owner, Name: name}.Repository()},
		constellation.Errorf(constellation.KindNotFound, "there is no algorithm %s/%s", owner, name))
	if err != nil {
		return nil, err
	}
	list, err := db.withLatest(ctx, []algorithmRow{*row})
	if err != nil {
		return nil, err
	}
	return &list[0], nil
}

func (db *DB) withLatest(ctx context.Context, rows []algorithmRow) ([]constellation.Algorithm, error) {
	ids := make([]string, len(rows))
	for i, r := range rows {
		ids[i] = r.ID
	}
	latest, err := collect[algorithmVersionRow](ctx, db, "get latest versions", `
		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM unnest(@ids::uuid[]) AS wanted(id)
		JOIN algorithms g ON g.id = wanted.id JOIN owners o ON o.id = g.owner_id
		CROSS JOIN LATERAL (
			SELECT * FROM algorithm_versions
			WHERE algorithm_id = g.id AND state = 'ready'
			ORDER BY created_at DESC, id DESC LIMIT 1) v`, pgx.NamedArgs{"ids": ids})
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*constellation.AlgorithmVersion, len(latest))
	for _, r := range latest {
		v := r.version()
		byID[r.AlgorithmID] = &v
	}
	list := make([]constellation.Algorithm, len(rows))
	for i, r := range rows {
		list[i] = r.algorithm(byID[r.ID])
	}
	return list, nil
}

// AlgorithmVersions returns a page of an algorithm's versions.
func (db *DB) AlgorithmVersions(ctx context.Context, algorithmID string, l List) ([]constellation.AlgorithmVersion, error) {
	rows, err := list[algorithmVersionRow](ctx, db, "list algorithm versions", listQuery{order: algorithmVersionOrder, rows: selection{
		columns: `v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by`,
		from:  `algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id`,
		where: `v.algorithm_id = @algorithm_id`,
	}, args: pgx.NamedArgs{"algorithm_id": algorithmID}}, l)
	return versions(rows), err
}

// AlgorithmVersionsByRef returns those of refs that exist, in no order.
func (db *DB) AlgorithmVersionsByRef(ctx context.Context, refs []constellation.AlgorithmRef) ([]constellation.AlgorithmVersion, error) {
	repositories, hashes := make([]string, len(refs)), make([]string, len(refs))
	for i, ref := range refs {
		repositories[i], hashes[i] = ref.Repository(), ref.Hash
	}
	rows, err := collect[algorithmVersionRow](ctx, db, "get algorithm versions", `
		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM (SELECT DISTINCT * FROM unnest(@repositories::text[], @hashes::text[])) AS wanted(repository, git_hash)
		JOIN algorithms g ON g.repository = wanted.repository
		JOIN algorithm_versions v ON v.algorithm_id = g.id AND v.git_hash = wanted.git_hash
		JOIN owners o ON o.id = g.owner_id`,
		pgx.NamedArgs{"repositories": repositories, "hashes": hashes})
	return versions(rows), err
}

// AlgorithmVersionByID returns a version.
func (db *DB) AlgorithmVersionByID(ctx context.Context, id string) (*constellation.AlgorithmVersion, error) {
	row, err := collectOne[algorithmVersionRow](ctx, db, "get algorithm version", `
		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, v.runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id WHERE v.id = @id`,
		pgx.NamedArgs{"id": id}, constellation.Errorf(constellation.KindNotFound, "there is no such version"))
	if err != nil {
		return nil, err
	}
	v := row.version()
	return &v, nil
}

// SatelliteImages returns the algorithm versions of a satellite version, by
// position, each with the runtime settings that are the satellite version's.
func (db *DB) SatelliteImages(ctx context.Context, satelliteID string, number int) ([]constellation.AlgorithmVersion, error) {
	rows, err := collect[algorithmVersionRow](ctx, db, "get images of satellite version", `
		SELECT v.id, v.algorithm_id, o.name AS owner, g.name, g.repository, v.git_hash, v.semantic_version, v.state,
			v.digest, v.media_type, v.size, v.platforms, coalesce(r.runtime, v.runtime) AS runtime, v.weights,
			v.runtime_revision, v.corrected_at, v.corrected_by, v.created_at, v.created_by
		FROM satellite_algorithms s
		JOIN algorithm_versions v ON v.id = s.algorithm_version_id
		LEFT JOIN algorithm_runtimes r ON r.algorithm_version_id = v.id AND r.revision = s.runtime_revision
		JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
		WHERE s.satellite_id = @id AND s.number = @number
		ORDER BY s.position`,
		pgx.NamedArgs{"id": satelliteID, "number": number})
	return versions(rows), err
}

// EnsureAlgorithm returns the algorithm's id, owner and name as they are known,
// and makes owner and algorithm when they are not. The caller holds a lock.
func (db *DB) EnsureAlgorithm(ctx context.Context, owner, name, by string, at time.Time) (*constellation.Algorithm, error) {
	ref := constellation.AlgorithmRef{Owner: owner, Name: name}
	err := db.exec(ctx, "insert owner", `
		INSERT INTO owners (id, name, name_key, created_at) VALUES (@id, @name, @key, @at)
		ON CONFLICT (name_key) DO NOTHING`,
		pgx.NamedArgs{"id": uuid.NewString(), "name": owner, "key": constellation.Fold(owner), "at": at})
	if err != nil {
		return nil, err
	}
	err = db.exec(ctx, "insert algorithm", `
		INSERT INTO algorithms (id, owner_id, name, repository, created_at, created_by)
		VALUES (@id, (SELECT id FROM owners WHERE name_key = @owner_key), @name, @repository, @at, @by)
		ON CONFLICT (repository) DO NOTHING`,
		pgx.NamedArgs{
			"id": uuid.NewString(), "owner_key": constellation.Fold(owner), "name": name,
			"repository": ref.Repository(), "at": at, "by": by,
		})
	if err != nil {
		return nil, err
	}
	return db.Algorithm(ctx, owner, name)
}

// InsertAlgorithmVersion adds a version of an algorithm.
func (db *DB) InsertAlgorithmVersion(ctx context.Context, algorithmID string, v *constellation.AlgorithmVersion) error {
	platforms := v.Image.Platforms
	if platforms == nil {
		platforms = []string{}
	}
	return db.exec(ctx, "insert algorithm version", `
		INSERT INTO algorithm_versions (id, algorithm_id, git_hash, semantic_version, state, digest, media_type, size,
			platforms, runtime, weights, created_at, created_by)
		VALUES (@id, @algorithm_id, @git_hash, @semantic_version, @state, @digest, @media_type, @size,
			@platforms, @runtime, @weights, @created_at, @created_by)`,
		pgx.NamedArgs{
			"id": v.ID, "algorithm_id": algorithmID, "git_hash": v.GitHash, "semantic_version": v.SemanticVersion,
			"state": v.State, "digest": v.Image.Digest, "media_type": v.Image.MediaType, "size": v.Image.Size,
			"platforms": platforms, "runtime": v.Runtime, "weights": v.Weights, "created_at": v.CreatedAt, "created_by": v.CreatedBy,
		})
}
