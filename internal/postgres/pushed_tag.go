package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// UpsertPushedTag notes that a tag was pushed, and keeps the newest of its
// repository.
func (db *DB) UpsertPushedTag(ctx context.Context, t constellation.PushedTag, keep int) error {
	err := db.exec(ctx, "note pushed tag", `
		INSERT INTO pushed_tags (repository, tag, digest, pushed_at, pushed_by)
		VALUES (@repository, @tag, @digest, @at, @by)
		ON CONFLICT (repository, tag) DO UPDATE
		SET digest = excluded.digest, pushed_at = excluded.pushed_at, pushed_by = excluded.pushed_by`,
		pgx.NamedArgs{"repository": t.Repository, "tag": t.Tag, "digest": t.Digest, "at": t.PushedAt, "by": t.PushedBy})
	if err != nil {
		return err
	}
	return db.exec(ctx, "remove old pushed tags", `
		DELETE FROM pushed_tags
		WHERE repository = @repository AND tag IN (
			SELECT tag FROM pushed_tags WHERE repository = @repository
			ORDER BY pushed_at DESC, tag OFFSET @keep)`,
		pgx.NamedArgs{"repository": t.Repository, "keep": keep})
}

// PushedTags returns the tags of a repository that are no version, newest
// first, each with the version that is the same image where there is one.
func (db *DB) PushedTags(ctx context.Context, repository string) ([]constellation.PushedTag, error) {
	return collect[constellation.PushedTag](ctx, db, "list pushed tags", `
		SELECT t.repository, t.tag, t.digest, t.pushed_at, t.pushed_by,
			coalesce((SELECT min(v.git_hash) FROM algorithm_versions v
				JOIN algorithms g ON g.id = v.algorithm_id
				WHERE g.repository = t.repository AND v.digest = t.digest), '') AS git_hash
		FROM pushed_tags t
		WHERE t.repository = @repository
		ORDER BY t.pushed_at DESC, t.tag`,
		pgx.NamedArgs{"repository": repository})
}

// UnregisteredTags returns the newest tags of repositories in which no version
// is registered, one a repository.
func (db *DB) UnregisteredTags(ctx context.Context, limit int) ([]constellation.PushedTag, error) {
	return collect[constellation.PushedTag](ctx, db, "list unregistered tags", `
		SELECT * FROM (
			SELECT DISTINCT ON (t.repository) t.repository, t.tag, t.digest, t.pushed_at, t.pushed_by, '' AS git_hash
			FROM pushed_tags t
			WHERE NOT EXISTS (SELECT FROM algorithms g WHERE g.repository = t.repository)
			ORDER BY t.repository, t.pushed_at DESC) newest
		ORDER BY pushed_at DESC, repository
		LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}
