package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// ExpectedContent is what is noted of a digest in a repository.
type ExpectedContent struct {
	Linked   bool     // the repository has it
	Versions []string // some of the versions that need it, as OWNER/NAME/HASH
}

// ExpectedContent returns what is noted of a blob or manifest of a repository.
func (db *DB) ExpectedContent(ctx context.Context, repository, digest string) (*ExpectedContent, error) {
	return collectOne[ExpectedContent](ctx, db, "look what is noted of a blob", `
		WITH RECURSIVE above (digest) AS (
			SELECT @digest::text COLLATE "C"
			UNION
			SELECT p.manifest FROM above a JOIN registry_parts p ON p.repository = @repository AND p.digest = a.digest
		)
		SELECT EXISTS (SELECT FROM registry_links WHERE repository = @repository AND digest = @digest) AS linked,
			ARRAY(
				SELECT o.name || '/' || g.name || '/' || v.git_hash
				FROM above a JOIN algorithm_versions v ON v.digest COLLATE "C" = a.digest
				JOIN algorithms g ON g.id = v.algorithm_id AND g.repository = @repository
				JOIN owners o ON o.id = g.owner_id
				ORDER BY v.created_at DESC, v.id LIMIT 10) AS versions`,
		pgx.NamedArgs{"repository": repository, "digest": digest}, nil)
}

// ExpectedTag returns the digest that a tag is noted to point at, or that the version
// of that Git hash has; "" for neither.
func (db *DB) ExpectedTag(ctx context.Context, repository, tag string) (string, error) {
	return scalar[string](ctx, db, "look what is noted of a tag", `
		SELECT coalesce(
			(SELECT digest FROM registry_tags WHERE repository = @repository AND tag = @tag),
			(SELECT v.digest FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id
				WHERE g.repository = @repository AND v.git_hash = @tag),
			'')`, pgx.NamedArgs{"repository": repository, "tag": tag})
}

// Link is a blob or manifest of a repository.
type Link struct{ Repository, Digest string }

// LinksAfter returns links that are noted, after one and in order.
func (db *DB) LinksAfter(ctx context.Context, after Link, limit int) ([]Link, error) {
	return collect[Link](ctx, db, "list links", `
		SELECT repository, digest FROM registry_links
		WHERE (repository, digest) > (@repository, @digest)
		ORDER BY repository, digest LIMIT @limit`,
		pgx.NamedArgs{"repository": after.Repository, "digest": after.Digest, "limit": limit})
}
