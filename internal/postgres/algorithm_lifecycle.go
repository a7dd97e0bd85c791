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

// VersionUsers returns the names of up to limit satellites of which any version
// has an algorithm version, by name.
func (db *DB) VersionUsers(ctx context.Context, id string, limit int) ([]string, error) {
	return collectIDs(ctx, db, "list users of an algorithm version", `
		SELECT s.name FROM satellites s
		WHERE EXISTS (SELECT FROM satellite_uses x WHERE x.satellite_id = s.id AND x.algorithm_version_id = @id)
		ORDER BY s.name_key LIMIT @limit`, pgx.NamedArgs{"id": id, "limit": limit})
}
