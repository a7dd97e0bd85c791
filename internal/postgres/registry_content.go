package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// TouchBlob keeps a blob that is known from being removed for a while. One that was
// touched less than every ago is left as it is. It waits for a removal under way.
func (db *DB) TouchBlob(ctx context.Context, digest string, every time.Duration) error {
	return db.exec(ctx, "touch blob", `
		UPDATE registry_blobs SET touched_at = clock_timestamp()
		WHERE digest = @digest AND touched_at < clock_timestamp() - @every::interval`,
		pgx.NamedArgs{"digest": digest, "every": every})
}

// TouchManifest is TouchBlob for a manifest, by tag or digest, and for the manifests
// that are needed where it is: those of an index, signatures. parts are what it names
// that is not noted yet.
func (db *DB) TouchManifest(ctx context.Context, repository, reference string, parts []string, every time.Duration) error {
	return db.exec(ctx, "touch manifest", `
		WITH RECURSIVE reached (digest) AS (
			SELECT * FROM (
				SELECT coalesce((SELECT digest FROM registry_tags WHERE repository = @repository AND tag = @reference), @reference)
				UNION ALL
				SELECT digest FROM registry_manifests WHERE repository = @repository AND digest = ANY (@parts)) named
			UNION
			SELECT e.target FROM reached r JOIN registry_edges e ON e.repository = @repository AND e.source = r.digest
		), held AS (
			SELECT digest FROM registry_blobs
			WHERE digest IN (SELECT digest FROM reached) AND touched_at < clock_timestamp() - @every::interval
			ORDER BY digest FOR NO KEY UPDATE
		)
		UPDATE registry_blobs b SET touched_at = clock_timestamp() FROM held WHERE b.digest = held.digest`,
		pgx.NamedArgs{"repository": repository, "reference": reference, "parts": parts, "every": every})
}

// HoldBlobs holds the blobs that are known until the end of the transaction, so that
// nobody removes them. Others may hold them too.
func (db *DB) HoldBlobs(ctx context.Context, digests []string) error {
	return db.exec(ctx, "hold blobs", `
		SELECT FROM registry_blobs WHERE digest = ANY (@digests) ORDER BY digest FOR KEY SHARE`,
		pgx.NamedArgs{"digests": digests})
}

// UpsertBlob notes that a blob is stored, and holds it until the end of the
// transaction.
func (db *DB) UpsertBlob(ctx context.Context, b constellation.StoredBlob) error {
	return db.exec(ctx, "note blob", `
		INSERT INTO registry_blobs (digest, size, touched_at) VALUES (@digest, @size, clock_timestamp())
		ON CONFLICT (digest) DO UPDATE SET touched_at = clock_timestamp()`,
		pgx.NamedArgs{"digest": b.Digest, "size": b.Size})
}

// InsertLink notes that a repository has a blob, and reports whether that is new.
func (db *DB) InsertLink(ctx context.Context, repository, digest string) (bool, error) {
	tag, err := db.run(ctx, `
		INSERT INTO registry_links (repository, digest) VALUES (@repository, @digest) ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
	return err == nil && tag.RowsAffected() > 0, translate(err, "note link")
}

// UpsertManifest notes a manifest whose link is noted, with what it names.
func (db *DB) UpsertManifest(ctx context.Context, m constellation.StoredManifest) error {
	err := db.exec(ctx, "note manifest", `
		INSERT INTO registry_manifests (repository, digest, subject) VALUES (@repository, @digest, nullif(@subject, ''))
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"repository": m.Repository, "digest": m.Digest, "subject": m.Subject})
	if err != nil || len(m.Parts) == 0 {
		return err
	}
	return db.exec(ctx, "note parts of manifest", `
		INSERT INTO registry_parts (repository, manifest, digest)
		SELECT @repository::text, @digest::text, part FROM (SELECT DISTINCT unnest(@parts::text[]) AS part) parts
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"repository": m.Repository, "digest": m.Digest, "parts": m.Parts})
}

// UpsertTag notes where a tag points.
func (db *DB) UpsertTag(ctx context.Context, repository string, t constellation.StoredTag) error {
	return db.exec(ctx, "note tag", `
		INSERT INTO registry_tags (repository, tag, digest, subject, keeps)
		VALUES (@repository, @tag, @digest, nullif(@subject, ''), @keeps)
		ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest`,
		pgx.NamedArgs{"repository": repository, "tag": t.Tag, "digest": t.Digest, "subject": t.Subject(), "keeps": t.Keeps()})
}

// RepositoryContent is what the database knows of a repository's content.
type RepositoryContent struct {
	Links     map[string]bool
	Manifests map[string]bool
	Tags      map[string]string // digest of each
}

// RepositoryContent returns what is noted of a repository.
func (db *DB) RepositoryContent(ctx context.Context, repository string) (*RepositoryContent, error) {
	type row struct {
		Digest   string
		Manifest bool
	}
	args := pgx.NamedArgs{"repository": repository}
	links, err := collect[row](ctx, db, "list content of repository", `
		SELECT l.digest, m.digest IS NOT NULL AS manifest
		FROM registry_links l LEFT JOIN registry_manifests m ON m.repository = l.repository AND m.digest = l.digest
		WHERE l.repository = @repository`, args)
	if err != nil {
		return nil, err
	}
	tags, err := collect[constellation.StoredTag](ctx, db, "list tags of repository", `
		SELECT tag, digest FROM registry_tags WHERE repository = @repository`, args)
	c := &RepositoryContent{Links: map[string]bool{}, Manifests: map[string]bool{}, Tags: map[string]string{}}
	for _, l := range links {
		c.Links[l.Digest] = true
		if l.Manifest {
			c.Manifests[l.Digest] = true
		}
	}
	for _, t := range tags {
		c.Tags[t.Tag] = t.Digest
	}
	return c, err
}

// Repositories returns the names of repositories with content that is noted.
func (db *DB) Repositories(ctx context.Context) ([]string, error) {
	type row struct{ Repository string }
	rows, err := collect[row](ctx, db, "list repositories", `
		SELECT repository FROM registry_usage WHERE blobs > 0 ORDER BY repository`, nil)
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Repository
	}
	return names, err
}

// CatalogPage returns repositories with a manifest that is noted, after one and in
// order; known is false while the storage was never counted whole.
func (db *DB) CatalogPage(ctx context.Context, after string, limit int) (names []string, known bool, err error) {
	at, err := db.LastScan(ctx)
	if err != nil || at == nil {
		return nil, false, err
	}
	type row struct{ Repository string }
	rows, err := collect[row](ctx, db, "list a page of repositories", `
		SELECT u.repository FROM registry_usage u
		WHERE u.repository > @after AND u.blobs > 0 AND EXISTS (SELECT FROM registry_manifests m WHERE m.repository = u.repository)
		ORDER BY u.repository LIMIT @limit`, pgx.NamedArgs{"after": after, "limit": limit})
	names = make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Repository
	}
	return names, true, err
}

// BlobsFrom returns the blobs that are noted with digests from one, up to but
// without another.
func (db *DB) BlobsFrom(ctx context.Context, from, to string) ([]constellation.StoredBlob, error) {
	return collect[constellation.StoredBlob](ctx, db, "list blobs", `
		SELECT digest, size FROM registry_blobs WHERE digest >= @from AND digest < @to ORDER BY digest`,
		pgx.NamedArgs{"from": from, "to": to})
}

// InsertTag notes where a tag was found to point, unless it was noted otherwise than
// as it was before: "" for not at all.
func (db *DB) InsertTag(ctx context.Context, repository string, t constellation.StoredTag, before string) error {
	return db.exec(ctx, "note found tag", `
		INSERT INTO registry_tags (repository, tag, digest, subject, keeps)
		VALUES (@repository, @tag, @digest, nullif(@subject, ''), @keeps)
		ON CONFLICT (repository, tag) DO UPDATE SET digest = excluded.digest WHERE registry_tags.digest = @before`,
		pgx.NamedArgs{"repository": repository, "tag": t.Tag, "digest": t.Digest, "subject": t.Subject(), "keeps": t.Keeps(), "before": before})
}

// LinksOf returns the repositories that have a blob.
func (db *DB) LinksOf(ctx context.Context, digest string) ([]string, error) {
	type row struct{ Repository string }
	rows, err := collect[row](ctx, db, "list repositories of blob", `
		SELECT repository FROM registry_links WHERE digest = @digest ORDER BY repository`, pgx.NamedArgs{"digest": digest})
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Repository
	}
	return names, err
}
