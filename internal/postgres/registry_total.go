package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// TotalUsage returns what all blobs take that are noted, from the sums that are kept.
func (db *DB) TotalUsage(ctx context.Context) (*constellation.SpaceUse, error) {
	return collectOne[constellation.SpaceUse](ctx, db, "sum up usage", `
		SELECT '' AS name, coalesce(sum(blobs), 0)::bigint AS blobs, coalesce(sum(bytes), 0)::bigint AS bytes FROM registry_totals`, nil, nil)
}

// What a sum is of.
const (
	SumOfAll        = "all"
	SumOfOwner      = "owner"
	SumOfRepository = "repository"
	SumOfOwnerBlobs = "blobs of owner" // of in how many of its repositories each is
)

// SumFault is a sum that is kept and is not what it is of.
type SumFault struct {
	Of, Name               string
	Blobs, Bytes           int64 // that are kept
	FoundBlobs, FoundBytes int64 // that there are
}

// sumsFound is the sums as they are, from every row; each is all that is noted of one
// moment, since it is one statement.
const sumsFound = `
	links AS MATERIALIZED (
		SELECT l.repository, split_part(l.repository, '/', 1) AS owner, l.digest, b.size FROM registry_links l JOIN registry_blobs b ON b.digest = l.digest
	),
	owned AS MATERIALIZED (SELECT owner, digest, min(size) AS size, count(*) AS repositories FROM links GROUP BY owner, digest),
	found (of, name, blobs, bytes) AS (
		SELECT 'all', '', count(*), coalesce(sum(size), 0) FROM registry_blobs
		UNION ALL
		SELECT 'owner', owner, count(*), sum(size) FROM owned GROUP BY owner
		UNION ALL
		SELECT 'repository', repository, count(*), sum(size) FROM links GROUP BY repository
		UNION ALL
		SELECT 'blobs of owner', owner, count(*), sum(repositories) FROM owned GROUP BY owner
	)`

// SumFaults compares the sums that are kept with every row that they are of, and
// returns up to limit that differ.
func (db *DB) SumFaults(ctx context.Context, limit int) ([]SumFault, error) {
	return collect[SumFault](ctx, db, "compare sums", `
		WITH `+sumsFound+`,
		kept (of, name, blobs, bytes) AS (
			SELECT 'all', '', coalesce(sum(blobs), 0), coalesce(sum(bytes), 0) FROM registry_totals
			UNION ALL
			SELECT 'owner', owner, blobs, bytes FROM registry_owner_usage WHERE (blobs, bytes) <> (0, 0)
			UNION ALL
			SELECT 'repository', repository, blobs, bytes FROM registry_usage WHERE (blobs, bytes) <> (0, 0)
			UNION ALL
			SELECT 'blobs of owner', owner, count(*), sum(repositories) FROM registry_owner_blobs GROUP BY owner
		)
		SELECT of, name, coalesce(k.blobs, 0)::bigint AS blobs, coalesce(k.bytes, 0)::bigint AS bytes,
			coalesce(f.blobs, 0)::bigint AS found_blobs, coalesce(f.bytes, 0)::bigint AS found_bytes
		FROM found f FULL JOIN kept k USING (of, name)
		WHERE (coalesce(k.blobs, 0), coalesce(k.bytes, 0)) <> (coalesce(f.blobs, 0), coalesce(f.bytes, 0))
		ORDER BY of, name LIMIT @limit`, pgx.NamedArgs{"limit": limit})
}

// RecountSums makes the sums that are kept anew, from every row that they are of.
// Pushes wait for its end.
func (db *DB) RecountSums(ctx context.Context) error {
	return db.Transact(ctx, func(tx *DB) error {
		for _, sql := range []string{
			`LOCK TABLE registry_blobs, registry_links IN SHARE ROW EXCLUSIVE MODE`,
			`DELETE FROM registry_totals`,
			`INSERT INTO registry_totals (blobs, bytes) SELECT count(*), coalesce(sum(size), 0) FROM registry_blobs`,
			`DELETE FROM registry_owner_blobs`,
			`INSERT INTO registry_owner_blobs (owner, digest, repositories)
				SELECT split_part(repository, '/', 1), digest, count(*) FROM registry_links GROUP BY 1, 2`,
			`UPDATE registry_owner_usage SET blobs = 0, bytes = 0`,
			`INSERT INTO registry_owner_usage (owner, blobs, bytes)
				SELECT o.owner, count(*), sum(b.size) FROM registry_owner_blobs o JOIN registry_blobs b ON b.digest = o.digest GROUP BY o.owner
				ON CONFLICT (owner) DO UPDATE SET blobs = excluded.blobs, bytes = excluded.bytes`,
			`UPDATE registry_usage SET blobs = 0, bytes = 0`,
			`INSERT INTO registry_usage (repository, owner, blobs, bytes)
				SELECT l.repository, split_part(l.repository, '/', 1), count(*), sum(b.size) FROM registry_links l JOIN registry_blobs b ON b.digest = l.digest GROUP BY 1, 2
				ON CONFLICT (repository) DO UPDATE SET blobs = excluded.blobs, bytes = excluded.bytes`,
		} {
			if err := tx.exec(ctx, "count sums anew", sql, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// FoundGarbage is what a garbage collection would free, as it was last found out.
type FoundGarbage struct {
	FoundAt      time.Time
	Took         time.Duration // to find out
	Blobs, Bytes int64
	Repositories int64                    // that something goes from
	Largest      []constellation.SpaceUse // those of them that free the most
}

// FoundGarbage returns what was last found out of what would go, nil when that never
// was.
func (db *DB) FoundGarbage(ctx context.Context) (*FoundGarbage, error) {
	list, err := collect[FoundGarbage](ctx, db, "get what nothing needs", `
		SELECT found_at, took, blobs, bytes, repositories, largest FROM registry_garbage`, nil)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// NoteGarbage notes what was found out of what would go, by the clock of the database.
func (db *DB) NoteGarbage(ctx context.Context, g *FoundGarbage) error {
	return db.exec(ctx, "note what nothing needs", `
		INSERT INTO registry_garbage (found_at, took, blobs, bytes, repositories, largest)
		VALUES (clock_timestamp(), @took, @blobs, @bytes, @repositories, @largest)
		ON CONFLICT (singleton) DO UPDATE SET found_at = excluded.found_at, took = excluded.took, blobs = excluded.blobs, bytes = excluded.bytes,
			repositories = excluded.repositories, largest = excluded.largest`,
		pgx.NamedArgs{"took": g.Took, "blobs": g.Blobs, "bytes": g.Bytes, "repositories": g.Repositories, "largest": g.Largest})
}

// GarbageAge returns how long ago it was last found out what would go, by the clock of
// the database, and how long that took; ok is false when it never was.
func (db *DB) GarbageAge(ctx context.Context) (age, took time.Duration, ok bool, err error) {
	type row struct{ Age, Took time.Duration }
	list, err := collect[row](ctx, db, "get age of what nothing needs", `
		SELECT clock_timestamp() - found_at AS age, took FROM registry_garbage`, nil)
	if err != nil || len(list) == 0 {
		return 0, 0, false, err
	}
	return list[0].Age, list[0].Took, true, nil
}
