package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const importColumns = `i.version_id, i.repository, i.image, i.digest, i.runtime, v.state, i.phase, i.bytes, i.bytes_done, i.rate, i.attempts, i.next_at, i.error,
	i.requested_by, i.requested_at, i.started_at, i.ended_at, i.mirror, i.failure, i.generation`

type importRow struct {
	VersionID   string
	Repository  string
	Image       string
	Digest      string
	Runtime     constellation.RuntimeChange
	State       constellation.VersionState
	Phase       constellation.ImportPhase
	Bytes       int64
	BytesDone   int64
	Rate        int64
	Attempts    int
	NextAt      *time.Time
	Error       string
	RequestedBy string
	RequestedAt time.Time
	StartedAt   *time.Time
	EndedAt     *time.Time
	Mirror      string
	Failure     constellation.ImportFailure
	Generation  int
}

func (r importRow) imported() *constellation.Import {
	image, _ := constellation.ParseImageName(r.Image) // as it was written
	return &constellation.Import{
		VersionID: r.VersionID, Repository: r.Repository, Image: image, Digest: r.Digest, Runtime: r.Runtime, State: r.State, Phase: r.Phase,
		Bytes: r.Bytes, BytesDone: r.BytesDone, Rate: r.Rate, Attempts: r.Attempts, NextAt: r.NextAt, Error: r.Error,
		RequestedBy: r.RequestedBy, RequestedAt: r.RequestedAt, StartedAt: r.StartedAt, EndedAt: r.EndedAt, Mirror: r.Mirror, Failure: r.Failure, Generation: r.Generation,
	}
}

// ImportsOf returns how versions come, or came, from registries elsewhere, by the
// versions' ids; those that were pushed have none.
func (db *DB) ImportsOf(ctx context.Context, versionIDs []string) (map[string]*constellation.Import, error) {
	rows, err := collect[importRow](ctx, db, "get imports", `
		SELECT `+importColumns+` FROM algorithm_imports i JOIN algorithm_versions v ON v.id = i.version_id
		WHERE i.version_id = ANY (@ids::uuid[])`, pgx.NamedArgs{"ids": versionIDs})
	imports := make(map[string]*constellation.Import, len(rows))
	for _, r := range rows {
		imports[r.VersionID] = r.imported()
	}
	return imports, err
}

// Import returns how a version comes from a registry elsewhere.
func (db *DB) Import(ctx context.Context, versionID string) (*constellation.Import, error) {
	row, err := collectOne[importRow](ctx, db, "get import", `
		SELECT `+importColumns+` FROM algorithm_imports i JOIN algorithm_versions v ON v.id = i.version_id WHERE i.version_id = @id`,
		pgx.NamedArgs{"id": versionID}, constellation.Errorf(constellation.KindNotFound, "there is no such import"))
	if err != nil {
		return nil, err
	}
	return row.imported(), nil
}

// HoldImport is Import, with its row held until the end of the transaction.
func (db *DB) HoldImport(ctx context.Context, versionID string) (*constellation.Import, error) {
	if err := db.exec(ctx, "hold import", `SELECT FROM algorithm_imports WHERE version_id = @id FOR UPDATE`, pgx.NamedArgs{"id": versionID}); err != nil {
		return nil, err
	}
	return db.Import(ctx, versionID)
}

// UpsertImport notes that a version is asked for; what came for it before stays.
func (db *DB) UpsertImport(ctx context.Context, i *constellation.Import) error {
	return db.exec(ctx, "insert import", `
		INSERT INTO algorithm_imports (version_id, repository, image, runtime, phase, requested_by, requested_at, mirror)
		VALUES (@id, @repository, @image, @runtime, @phase, @by, @at, @mirror)
		ON CONFLICT (version_id) DO UPDATE SET image = excluded.image, digest = '', runtime = excluded.runtime, phase = excluded.phase,
			bytes = 0, bytes_done = 0, rate = 0, attempts = 0, next_at = NULL, error = '', failure = '', requested_by = excluded.requested_by,
			requested_at = excluded.requested_at, started_at = NULL, ended_at = NULL, mirror = excluded.mirror, generation = algorithm_imports.generation + 1`,
		pgx.NamedArgs{
			"id": i.VersionID, "repository": i.Repository, "image": i.Image.String(), "runtime": i.Runtime, "phase": i.Phase,
			"by": i.RequestedBy, "at": i.RequestedAt, "mirror": i.Mirror,
		})
}

// UpdateImport writes how far an import is, unless it has ended or was asked for
// anew; it reports whether it goes on.
func (db *DB) UpdateImport(ctx context.Context, i *constellation.Import) (bool, error) {
	tag, err := db.run(ctx, `
		UPDATE algorithm_imports i SET digest = @digest, phase = @phase, bytes = @bytes, bytes_done = @done, rate = @rate, attempts = @attempts,
			next_at = @next_at, error = @error, started_at = @started_at, ended_at = @ended_at, failure = @failure
		WHERE i.version_id = @id AND i.generation = @generation AND i.ended_at IS NULL`,
		pgx.NamedArgs{
			"id": i.VersionID, "generation": i.Generation, "digest": i.Digest, "phase": i.Phase, "bytes": i.Bytes, "done": i.BytesDone, "rate": i.Rate,
			"attempts": i.Attempts, "next_at": i.NextAt, "error": i.Error, "started_at": i.StartedAt, "ended_at": i.EndedAt, "failure": i.Failure,
		})
	return err == nil && tag.RowsAffected() > 0, translate(err, "update import")
}

// DeleteImport forgets that a version was asked for.
func (db *DB) DeleteImport(ctx context.Context, versionID string) error {
	return db.exec(ctx, "delete import", `DELETE FROM algorithm_imports WHERE version_id = @id`, pgx.NamedArgs{"id": versionID})
}

// ReplaceImportParts notes what an import needs. Of what was noted before, it keeps
// where blobs are written to.
func (db *DB) ReplaceImportParts(ctx context.Context, versionID, repository string, parts []constellation.ImportPart) error {
	digests := make([]string, len(parts))
	for n, p := range parts {
		digests[n] = p.Digest
	}
	err := db.exec(ctx, "remove parts of import", `DELETE FROM algorithm_import_parts WHERE version_id = @id AND NOT digest = ANY (@digests)`,
		pgx.NamedArgs{"id": versionID, "digests": digests})
	for n := 0; n < len(parts) && err == nil; n++ {
		p := parts[n]
		err = db.exec(ctx, "insert part of import", `
			INSERT INTO algorithm_import_parts (version_id, repository, digest, size, manifest, media_type, body, tag, position)
			VALUES (@id, @repository, @digest, @size, @manifest, @media_type, @body, @tag, @position)
			ON CONFLICT (version_id, digest) DO UPDATE SET size = excluded.size, manifest = excluded.manifest, media_type = excluded.media_type,
				body = excluded.body, tag = excluded.tag, position = excluded.position, done = false`,
			pgx.NamedArgs{
				"id": versionID, "repository": repository, "digest": p.Digest, "size": p.Size, "manifest": p.Manifest, "media_type": p.MediaType,
				"body": p.Body, "tag": p.Tag, "position": p.Position,
			})
	}
	return err
}

// ImportParts returns what an import needs, manifests in the order in which they are
// stored.
func (db *DB) ImportParts(ctx context.Context, versionID string) ([]constellation.ImportPart, error) {
	return collect[constellation.ImportPart](ctx, db, "list parts of import", `
		SELECT digest, size, manifest, media_type, body, tag, position, upload, done FROM algorithm_import_parts
		WHERE version_id = @id ORDER BY position, digest`, pgx.NamedArgs{"id": versionID})
}

// UpdateImportPart notes where a blob is written to, and whether it is here.
func (db *DB) UpdateImportPart(ctx context.Context, versionID string, p *constellation.ImportPart) error {
	return db.exec(ctx, "update part of import", `
		UPDATE algorithm_import_parts SET upload = @upload, done = @done WHERE version_id = @id AND digest = @digest`,
		pgx.NamedArgs{"id": versionID, "digest": p.Digest, "upload": p.Upload, "done": p.Done})
}

// DeleteImportParts forgets what an import needed.
func (db *DB) DeleteImportParts(ctx context.Context, versionID string) error {
	return db.exec(ctx, "delete parts of import", `DELETE FROM algorithm_import_parts WHERE version_id = @id`, pgx.NamedArgs{"id": versionID})
}

// ImportNeed is how many bytes parts of an import take that are not here yet.
type ImportNeed struct {
	Disk    int64 // that no repository has
	Owner   int64 // that no repository of the owner has
	Pending int64 // that other imports are still to bring
	// OwnerPending is what other imports are still to bring to the owner beside that.
	OwnerPending int64
}

// ImportNeed returns what an import whose parts are noted will take.
func (db *DB) ImportNeed(ctx context.Context, versionID, owner string) (*ImportNeed, error) {
	return collectOne[ImportNeed](ctx, db, "sum up parts of import", `
		SELECT coalesce(sum(p.size) FILTER (WHERE NOT EXISTS (SELECT FROM registry_blobs b WHERE b.digest = p.digest)), 0)::bigint AS disk,
			coalesce(sum(p.size) FILTER (WHERE NOT EXISTS (SELECT FROM registry_owner_blobs o WHERE o.owner = @owner AND o.digest = p.digest)), 0)::bigint AS owner,
			(SELECT coalesce(sum(greatest(i.bytes - i.bytes_done, 0)), 0)::bigint FROM algorithm_imports i JOIN algorithm_versions v ON v.id = i.version_id
				WHERE v.state = 'importing' AND i.version_id <> @id AND i.phase <> 'waiting') AS pending,
			(SELECT coalesce(sum(size), 0)::bigint FROM (
				SELECT DISTINCT q.digest, q.size FROM algorithm_import_parts q JOIN algorithm_versions v ON v.id = q.version_id
				WHERE v.state = 'importing' AND q.version_id <> @id AND split_part(q.repository, '/', 1) = @owner
					AND NOT EXISTS (SELECT FROM registry_owner_blobs o WHERE o.owner = @owner AND o.digest = q.digest)
					AND NOT EXISTS (SELECT FROM algorithm_import_parts own WHERE own.version_id = @id AND own.digest = q.digest)) others) AS owner_pending
		FROM algorithm_import_parts p WHERE p.version_id = @id`, pgx.NamedArgs{"id": versionID, "owner": owner}, nil)
}

// ClaimFetch lets an import fetch a blob, unless another one does that was seen within
// patience.
func (db *DB) ClaimFetch(ctx context.Context, versionID, digest string, patience time.Duration) (bool, error) {
	tag, err := db.run(ctx, `
		INSERT INTO algorithm_import_fetches AS f (digest, version_id, seen_at) VALUES (@digest, @id, clock_timestamp())
		ON CONFLICT (digest) DO UPDATE SET version_id = excluded.version_id, seen_at = excluded.seen_at
		WHERE f.version_id = excluded.version_id OR f.seen_at < clock_timestamp() - @patience::interval`,
		pgx.NamedArgs{"id": versionID, "digest": digest, "patience": patience})
	return err == nil && tag.RowsAffected() > 0, translate(err, "claim fetch")
}

// KeepFetches says that an import still fetches.
func (db *DB) KeepFetches(ctx context.Context, versionID string) error {
	return db.exec(ctx, "keep fetches", `UPDATE algorithm_import_fetches SET seen_at = clock_timestamp() WHERE version_id = @id`, pgx.NamedArgs{"id": versionID})
}

// DropFetches ends an import's fetch of a blob, or with "" all of them.
func (db *DB) DropFetches(ctx context.Context, versionID, digest string) error {
	return db.exec(ctx, "drop fetches", `DELETE FROM algorithm_import_fetches WHERE version_id = @id AND @digest IN ('', digest)`,
		pgx.NamedArgs{"id": versionID, "digest": digest})
}

// SetVersionState changes the state of a version that has no image yet.
func (db *DB) SetVersionState(ctx context.Context, v *constellation.AlgorithmVersion) error {
	return db.exec(ctx, "set state of version", `
		UPDATE algorithm_versions SET state = @state, semantic_version = @semantic_version, runtime = @runtime WHERE id = @id AND state <> 'ready'`,
		pgx.NamedArgs{"id": v.ID, "state": v.State, "semantic_version": v.SemanticVersion, "runtime": v.Runtime})
}

// FillVersion gives a version that had none its image.
func (db *DB) FillVersion(ctx context.Context, v *constellation.AlgorithmVersion) error {
	platforms := v.Image.Platforms
	if platforms == nil {
		platforms = []string{}
	}
	return db.exec(ctx, "fill version", `
		UPDATE algorithm_versions SET state = @state, semantic_version = @semantic_version, digest = @digest, media_type = @media_type, size = @size,
			platforms = @platforms, runtime = @runtime, weights = @weights
		WHERE id = @id AND state <> 'ready'`,
		pgx.NamedArgs{
			"id": v.ID, "state": v.State, "semantic_version": v.SemanticVersion, "digest": v.Image.Digest, "media_type": v.Image.MediaType,
			"size": v.Image.Size, "platforms": platforms, "runtime": v.Runtime, "weights": v.Weights,
		})
}

// ImportCount is how many versions are in a state of an import.
type ImportCount struct {
	State string
	Count int64
}

// ImportCounts returns how many imports there are, by state.
func (db *DB) ImportCounts(ctx context.Context) ([]ImportCount, error) {
	return collect[ImportCount](ctx, db, "count imports", `
		SELECT v.state, count(*) AS count FROM algorithm_imports i JOIN algorithm_versions v ON v.id = i.version_id GROUP BY v.state`, nil)
}
