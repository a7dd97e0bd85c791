package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Since is what was not touched for long enough to go: nothing after Cutoff, and
// under a tag of its own nothing after Kept.
type Since struct{ Cutoff, Kept time.Time }

// Ago returns the moments before now, by the clock of the database, which touches
// are written by.
func (db *DB) Ago(ctx context.Context, grace, tags time.Duration) (*Since, error) {
	return collectOne[Since](ctx, db, "read the clock", `
		SELECT clock_timestamp() - @grace::interval AS cutoff, clock_timestamp() - @tags::interval AS kept`,
		pgx.NamedArgs{"grace": grace, "tags": tags}, nil)
}

func (s Since) args(more pgx.NamedArgs) pgx.NamedArgs {
	args := pgx.NamedArgs{"cutoff": s.Cutoff, "kept": s.Kept}
	for name, value := range more {
		args[name] = value
	}
	return args
}

// Unneeded is content of a repository that nothing needs.
type Unneeded struct{ Repository, Digest string }

// UnneededManifests returns the manifests that nothing needs.
func (db *DB) UnneededManifests(ctx context.Context, since Since) ([]Unneeded, error) {
	return collect[Unneeded](ctx, db, "list manifests that nothing needs", `
		SELECT repository, digest FROM registry_manifests
		EXCEPT SELECT repository, digest FROM registry_needed(@cutoff, @kept)
		ORDER BY repository, digest`, since.args(nil))
}

// UnneededLinks returns up to limit blobs of repositories, from one on, that no
// manifest there names and that were not touched since.
func (db *DB) UnneededLinks(ctx context.Context, since Since, after Unneeded, limit int) ([]Unneeded, error) {
	return collect[Unneeded](ctx, db, "list blobs that nothing needs", `
		SELECT l.repository, l.digest FROM registry_links l JOIN registry_blobs b ON b.digest = l.digest
		WHERE (l.repository, l.digest) > (@repository, @digest) AND b.touched_at < @cutoff
			AND NOT EXISTS (SELECT FROM registry_manifests m WHERE m.repository = l.repository AND m.digest = l.digest)
			AND NOT EXISTS (SELECT FROM registry_parts p WHERE p.repository = l.repository AND p.digest = l.digest)
			AND NOT EXISTS (SELECT FROM algorithm_import_parts i WHERE i.repository = l.repository AND i.digest = l.digest)
		ORDER BY l.repository, l.digest LIMIT @limit`,
		since.args(pgx.NamedArgs{"repository": after.Repository, "digest": after.Digest, "limit": limit}))
}

// UnneededBlobs returns up to limit blobs, from one on, that no repository has and
// that were not touched since.
func (db *DB) UnneededBlobs(ctx context.Context, since Since, after string, limit int) ([]constellation.StoredBlob, error) {
	return collect[constellation.StoredBlob](ctx, db, "list blobs that no repository has", `
		SELECT b.digest, b.size FROM registry_blobs b
		WHERE b.digest > @after AND b.touched_at < @cutoff
			AND NOT EXISTS (SELECT FROM registry_links l WHERE l.digest = b.digest)
		ORDER BY b.digest LIMIT @limit`, since.args(pgx.NamedArgs{"after": after, "limit": limit}))
}

// SeizeBlob holds a blob alone until the end of the transaction, and reports
// whether it got it: not when somebody else holds it, it is gone, it was touched
// since, or a backup runs, which may still read it.
func (db *DB) SeizeBlob(ctx context.Context, digest string, cutoff time.Time) (bool, error) {
	// First, so that the next statement sees a backup that begins.
	if err := db.LockShared(ctx, removalLock); err != nil {
		return false, err
	}
	type row struct{ Digest string }
	rows, err := collect[row](ctx, db, "seize blob", `
		SELECT digest FROM registry_blobs WHERE digest = @digest AND touched_at < @cutoff
			AND NOT EXISTS (SELECT FROM backups WHERE finished_at IS NULL AND seen_at > clock_timestamp() - @held::interval)
		FOR UPDATE SKIP LOCKED`,
		pgx.NamedArgs{"digest": digest, "cutoff": cutoff, "held": heldWhile})
	return len(rows) == 1, err
}

// ManifestNamed reports whether a version is the manifest, or an index of its
// repository names it.
func (db *DB) ManifestNamed(ctx context.Context, repository, digest string) (bool, error) {
	return scalar[bool](ctx, db, "look whether a manifest is named", `
		SELECT EXISTS (SELECT FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id
				WHERE g.repository = @repository AND v.digest = @digest)
			OR EXISTS (SELECT FROM registry_parts WHERE repository = @repository AND digest = @digest)
			OR EXISTS (SELECT FROM algorithm_import_parts WHERE repository = @repository AND digest = @digest)`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
}

// LinkNamed reports whether a blob of a repository is a manifest there, or a manifest
// there names it.
func (db *DB) LinkNamed(ctx context.Context, repository, digest string) (bool, error) {
	return scalar[bool](ctx, db, "look whether a blob is named", `
		SELECT EXISTS (SELECT FROM registry_manifests WHERE repository = @repository AND digest = @digest)
			OR EXISTS (SELECT FROM registry_parts WHERE repository = @repository AND digest = @digest)
			OR EXISTS (SELECT FROM algorithm_import_parts WHERE repository = @repository AND digest = @digest)`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
}

// Linked reports whether any repository has a blob.
func (db *DB) Linked(ctx context.Context, digest string) (bool, error) {
	return scalar[bool](ctx, db, "look whether a blob is linked", `
		SELECT EXISTS (SELECT FROM registry_links WHERE digest = @digest)`, pgx.NamedArgs{"digest": digest})
}

// ManifestSubject returns what a manifest belongs to, "" for nothing.
func (db *DB) ManifestSubject(ctx context.Context, repository, digest string) (string, error) {
	return scalar[string](ctx, db, "get subject of manifest", `
		SELECT coalesce((SELECT subject FROM registry_manifests WHERE repository = @repository AND digest = @digest), '')`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
}

// TagsOf returns the tags of a manifest.
func (db *DB) TagsOf(ctx context.Context, repository, digest string) ([]string, error) {
	type row struct{ Tag string }
	rows, err := collect[row](ctx, db, "list tags of manifest", `
		SELECT tag FROM registry_tags WHERE repository = @repository AND digest = @digest ORDER BY tag`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
	tags := make([]string, len(rows))
	for i, r := range rows {
		tags[i] = r.Tag
	}
	return tags, err
}

// DeleteTag forgets a tag.
func (db *DB) DeleteTag(ctx context.Context, repository, tag string) error {
	args := pgx.NamedArgs{"repository": repository, "tag": tag}
	if err := db.exec(ctx, "forget pushed tag", `DELETE FROM pushed_tags WHERE repository = @repository AND tag = @tag`, args); err != nil {
		return err
	}
	return db.exec(ctx, "forget tag", `DELETE FROM registry_tags WHERE repository = @repository AND tag = @tag`, args)
}

// DeleteManifest forgets a manifest; its blob stays linked.
func (db *DB) DeleteManifest(ctx context.Context, repository, digest string) error {
	return db.exec(ctx, "forget manifest", `DELETE FROM registry_manifests WHERE repository = @repository AND digest = @digest`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
}

// DeleteLink forgets that a repository has a blob that is no manifest there.
func (db *DB) DeleteLink(ctx context.Context, repository, digest string) error {
	return db.exec(ctx, "forget link", `DELETE FROM registry_links WHERE repository = @repository AND digest = @digest`,
		pgx.NamedArgs{"repository": repository, "digest": digest})
}

// DeleteBlob forgets a blob that no repository has.
func (db *DB) DeleteBlob(ctx context.Context, digest string) error {
	return db.exec(ctx, "forget blob", `DELETE FROM registry_blobs WHERE digest = @digest`, pgx.NamedArgs{"digest": digest})
}

// Garbage returns what would go, by repository: their blobs, and the bytes that no
// other repository goes on needing. What several give up counts with the first.
func (db *DB) Garbage(ctx context.Context, since Since) ([]constellation.SpaceUse, error) {
	return collect[constellation.SpaceUse](ctx, db, "sum up what nothing needs", `
		WITH needed AS MATERIALIZED (SELECT * FROM registry_needed(@cutoff, @kept)),
		kept AS MATERIALIZED (
			SELECT repository, digest FROM needed
			UNION
			SELECT p.repository, p.digest FROM registry_parts p JOIN needed n ON n.repository = p.repository AND n.digest = p.manifest
			UNION
			SELECT l.repository, l.digest FROM registry_links l JOIN registry_blobs b ON b.digest = l.digest WHERE b.touched_at >= @cutoff
		),
		going AS (
			SELECT l.repository, l.digest FROM registry_links l
			WHERE NOT EXISTS (SELECT FROM kept k WHERE k.repository = l.repository AND k.digest = l.digest)
			UNION ALL
			SELECT '', b.digest FROM registry_blobs b
			WHERE b.touched_at < @cutoff AND NOT EXISTS (SELECT FROM registry_links l WHERE l.digest = b.digest)
		),
		counted AS (
			SELECT g.repository, b.size,
				row_number() OVER (PARTITION BY g.digest ORDER BY g.repository) = 1
					AND NOT EXISTS (SELECT FROM kept k WHERE k.digest = g.digest) AS frees
			FROM going g JOIN registry_blobs b ON b.digest = g.digest
		)
		SELECT repository AS name, count(*) AS blobs, coalesce(sum(size) FILTER (WHERE frees), 0)::bigint AS bytes
		FROM counted GROUP BY repository ORDER BY bytes DESC, repository`, since.args(nil))
}
