package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// CorrectRuntime stores v's runtime settings as its revision RuntimeRevision,
// which follows that of before.
func (db *DB) CorrectRuntime(ctx context.Context, v, before *constellation.AlgorithmVersion) error {
	err := db.exec(ctx, "insert runtime settings", `
		INSERT INTO algorithm_runtimes (algorithm_version_id, revision, runtime)
		VALUES (@id, @old, @before), (@id, @new, @runtime)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"id": v.ID, "old": before.RuntimeRevision, "before": before.Runtime, "new": v.RuntimeRevision, "runtime": v.Runtime})
	if err != nil {
		return err
	}
	return db.exec(ctx, "update runtime settings", `
		UPDATE algorithm_versions SET runtime = @runtime, runtime_revision = @revision, corrected_at = @at, corrected_by = @by
		WHERE id = @id`,
		pgx.NamedArgs{"id": v.ID, "runtime": v.Runtime, "revision": v.RuntimeRevision, "at": v.CorrectedAt, "by": v.CorrectedBy})
}

// DeleteAlgorithmVersion removes a version that no satellite's version has.
func (db *DB) DeleteAlgorithmVersion(ctx context.Context, id string) error {
	return db.exec(ctx, "delete algorithm version", `DELETE FROM algorithm_versions WHERE id = @id`, pgx.NamedArgs{"id": id})
}

// VersionUsers returns up to limit satellites of which any version has an
// algorithm version, by name.
func (db *DB) VersionUsers(ctx context.Context, id string, limit int) ([]constellation.VersionUser, error) {
	return collect[constellation.VersionUser](ctx, db, "list users of an algorithm version", `
		SELECT s.id AS satellite_id, s.name AS satellite_name, count(DISTINCT x.number)::int AS versions, max(x.number) AS newest
		FROM satellite_uses x JOIN satellites s ON s.id = x.satellite_id
		WHERE x.algorithm_version_id = @id
		GROUP BY s.id
		ORDER BY s.name_key LIMIT @limit`, pgx.NamedArgs{"id": id, "limit": limit})
}

// RuntimeRevisions returns up to limit revisions of an algorithm version's runtime
// settings, the newest first; none of one that was never corrected.
func (db *DB) RuntimeRevisions(ctx context.Context, id string, limit int) ([]constellation.RuntimeRevision, error) {
	return collect[constellation.RuntimeRevision](ctx, db, "list runtime settings", `
		SELECT revision, runtime FROM algorithm_runtimes
		WHERE algorithm_version_id = @id ORDER BY revision DESC LIMIT @limit`, pgx.NamedArgs{"id": id, "limit": limit})
}

// Runtimes returns the runtime settings that algorithm versions had in a revision
// each, in order; of a revision that never was, the newest ones.
func (db *DB) Runtimes(ctx context.Context, ids []string, revisions []int) ([]constellation.Runtime, error) {
	type row struct{ Runtime constellation.Runtime }
	rows, err := collect[row](ctx, db, "get runtime settings", `
		SELECT coalesce(r.runtime, v.runtime) AS runtime
		FROM unnest(@ids::uuid[], @revisions::int[]) WITH ORDINALITY AS wanted(id, revision, position)
		JOIN algorithm_versions v ON v.id = wanted.id
		LEFT JOIN algorithm_runtimes r ON r.algorithm_version_id = wanted.id AND r.revision = wanted.revision
		ORDER BY wanted.position`, pgx.NamedArgs{"ids": ids, "revisions": revisions})
	runtimes := make([]constellation.Runtime, len(rows))
	for i, r := range rows {
		runtimes[i] = r.Runtime
	}
	return runtimes, err
}
