package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// OwnerRoom is what an owner has and may have, and at how many percent people were told.
type OwnerRoom struct {
	Bytes, Quota int64
	Told         int
}

// OwnerRoom returns what an owner has and may have, nil where there is no quota.
func (db *DB) OwnerRoom(ctx context.Context, owner string) (*OwnerRoom, error) {
	rows, err := collect[OwnerRoom](ctx, db, "get room of owner", `
		SELECT coalesce(u.bytes, 0) AS bytes, q.bytes AS quota, q.told::int AS told
		FROM registry_quotas q LEFT JOIN registry_owner_usage u ON u.owner = q.owner
		WHERE q.owner = @owner`, pgx.NamedArgs{"owner": owner})
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// Quotas returns every quota, by owner.
func (db *DB) Quotas(ctx context.Context) ([]constellation.Quota, error) {
	return collect[constellation.Quota](ctx, db, "list quotas", `
		SELECT owner, bytes, set_at, set_by FROM registry_quotas ORDER BY owner`, nil)
}

// UpsertQuota sets an owner's quota. People are told of the new one anew, and the owner
// is among those that take something, with nothing too.
func (db *DB) UpsertQuota(ctx context.Context, q constellation.Quota) error {
	if err := db.exec(ctx, "note owner of quota", `
		INSERT INTO registry_owner_usage (owner, blobs, bytes) VALUES (@owner, 0, 0) ON CONFLICT DO NOTHING`, pgx.NamedArgs{"owner": q.Owner}); err != nil {
		return err
	}
	return db.exec(ctx, "set quota", `
		INSERT INTO registry_quotas (owner, bytes, set_at, set_by) VALUES (@owner, @bytes, @at, @by)
		ON CONFLICT (owner) DO UPDATE SET bytes = excluded.bytes, set_at = excluded.set_at, set_by = excluded.set_by, told = 0`,
		pgx.NamedArgs{"owner": q.Owner, "bytes": q.Bytes, "at": q.SetAt, "by": q.SetBy})
}

// DeleteQuota removes an owner's quota.
func (db *DB) DeleteQuota(ctx context.Context, owner string) error {
	return db.execOne(ctx, "remove quota", `DELETE FROM registry_quotas WHERE owner = @owner`, pgx.NamedArgs{"owner": owner},
		constellation.Errorf(constellation.KindNotFound, "owner %s has no quota", owner))
}

// RetentionRules returns every rule, by scope.
func (db *DB) RetentionRules(ctx context.Context) ([]constellation.RetentionRule, error) {
	return collect[constellation.RetentionRule](ctx, db, "list retention rules", `
		SELECT scope, keep, days, set_at, set_by FROM retention_rules ORDER BY scope`, nil)
}

// RetentionRule returns the rule of a scope.
func (db *DB) RetentionRule(ctx context.Context, scope string) (*constellation.RetentionRule, error) {
	return collectOne[constellation.RetentionRule](ctx, db, "get retention rule", `
		SELECT scope, keep, days, set_at, set_by FROM retention_rules WHERE scope = @scope`,
		pgx.NamedArgs{"scope": scope}, constellation.Errorf(constellation.KindNotFound, "there is no retention rule of this scope"))
}

// UpsertRetentionRule sets the rule of a scope.
func (db *DB) UpsertRetentionRule(ctx context.Context, r constellation.RetentionRule) error {
	return db.exec(ctx, "set retention rule", `
		INSERT INTO retention_rules (scope, keep, days, set_at, set_by) VALUES (@scope, @keep, @days, @at, @by)
		ON CONFLICT (scope) DO UPDATE SET keep = excluded.keep, days = excluded.days, set_at = excluded.set_at, set_by = excluded.set_by`,
		pgx.NamedArgs{"scope": r.Scope, "keep": r.Keep, "days": r.Days, "at": r.SetAt, "by": r.SetBy})
}

// DeleteRetentionRule removes the rule of a scope.
func (db *DB) DeleteRetentionRule(ctx context.Context, scope string) error {
	return db.execOne(ctx, "remove retention rule", `DELETE FROM retention_rules WHERE scope = @scope`, pgx.NamedArgs{"scope": scope},
		constellation.Errorf(constellation.KindNotFound, "there is no retention rule of this scope"))
}

// RetiredVersion is a version that its rule lets go.
type RetiredVersion struct{ Owner, Name, GitHash string }

// RetiredVersions returns up to limit versions that the rules let go: neither among
// the newest nor too young by the narrowest rule, and in no satellite's version.
func (db *DB) RetiredVersions(ctx context.Context, now time.Time, limit int) ([]RetiredVersion, error) {
	return collect[RetiredVersion](ctx, db, "list versions that rules let go", `
		WITH ranked AS (
			SELECT v.id, v.git_hash, v.created_at, v.state, o.name AS owner, g.name, r.keep, r.days,
				row_number() OVER (PARTITION BY v.algorithm_id ORDER BY v.created_at DESC, v.id DESC) AS place
			FROM algorithm_versions v JOIN algorithms g ON g.id = v.algorithm_id JOIN owners o ON o.id = g.owner_id
			CROSS JOIN LATERAL (
				SELECT * FROM retention_rules
				WHERE scope IN ('', o.name_key, g.repository) ORDER BY length(scope) DESC LIMIT 1) r
		)
		SELECT owner, name, git_hash FROM ranked
		WHERE place > keep AND state = 'ready' AND created_at < @now::timestamptz - make_interval(days => days)
			AND NOT EXISTS (SELECT FROM satellite_uses u WHERE u.algorithm_version_id = ranked.id)
		ORDER BY created_at LIMIT @limit`, pgx.NamedArgs{"now": now, "limit": limit})
}

const collectionColumns = `id, started_at, started_by, finished_at, manifests, blobs, bytes, error`

// Collections returns the newest garbage collections.
func (db *DB) Collections(ctx context.Context, limit int) ([]constellation.Collection, error) {
	return collect[constellation.Collection](ctx, db, "list garbage collections", `
		SELECT `+collectionColumns+` FROM registry_collections ORDER BY started_at DESC, id DESC LIMIT @limit`,
		pgx.NamedArgs{"limit": limit})
}

// collectionsKept is how many garbage collections are remembered.
const collectionsKept = 100

// BeginCollection notes that a garbage collection begins, unless one runs that was
// seen within patience: that one is returned then, with ok false.
func (db *DB) BeginCollection(ctx context.Context, by string, patience time.Duration) (c *constellation.Collection, ok bool, err error) {
	err = db.Transact(ctx, func(db *DB) error {
		if err := db.Lock(ctx, "registry collection"); err != nil {
			return err
		}
		args := pgx.NamedArgs{"by": by, "patience": patience, "keep": collectionsKept}
		running, err := collect[constellation.Collection](ctx, db, "find running garbage collection", `
			SELECT `+collectionColumns+` FROM registry_collections
			WHERE finished_at IS NULL AND seen_at > clock_timestamp() - @patience::interval LIMIT 1`, args)
		if err != nil {
			return err
		}
		if ok = len(running) == 0; !ok {
			c = &running[0]
			return nil
		}
		if err := db.exec(ctx, "end garbage collections that were killed", `
			UPDATE registry_collections SET finished_at = seen_at, error = 'it was ended before it was done'
			WHERE finished_at IS NULL`, nil); err != nil {
			return err
		}
		if err := db.exec(ctx, "forget old garbage collections", `
			DELETE FROM registry_collections WHERE id IN (
				SELECT id FROM registry_collections ORDER BY started_at DESC, id DESC OFFSET @keep)`, args); err != nil {
			return err
		}
		c, err = collectOne[constellation.Collection](ctx, db, "begin garbage collection", `
			INSERT INTO registry_collections (started_at, started_by, seen_at) VALUES (clock_timestamp(), @by, clock_timestamp())
			RETURNING `+collectionColumns, args, nil)
		return err
	})
	return c, ok, err
}

// UpdateCollection notes how far a garbage collection is, and its end when ended.
func (db *DB) UpdateCollection(ctx context.Context, c *constellation.Collection, ended bool) error {
	return db.exec(ctx, "note garbage collection", `
		UPDATE registry_collections SET seen_at = clock_timestamp(), manifests = @manifests, blobs = @blobs, bytes = @bytes,
			error = @error, finished_at = CASE WHEN @ended::bool THEN clock_timestamp() END
		WHERE id = @id`,
		pgx.NamedArgs{"id": c.ID, "manifests": c.Manifests, "blobs": c.Blobs, "bytes": c.Bytes, "error": c.Error, "ended": ended})
}

// LastScan returns when the storage was last counted whole, nil for never.
func (db *DB) LastScan(ctx context.Context) (*time.Time, error) {
	return scalar[*time.Time](ctx, db, "get last count of storage", `SELECT (SELECT scanned_at FROM registry_scans)`, nil)
}

// NoteScan notes that the storage was counted whole.
func (db *DB) NoteScan(ctx context.Context) error {
	return db.exec(ctx, "note count of storage", `
		INSERT INTO registry_scans (scanned_at) VALUES (clock_timestamp())
		ON CONFLICT (singleton) DO UPDATE SET scanned_at = excluded.scanned_at`, nil)
}

// SeenCollection notes that a garbage collection still runs.
func (db *DB) SeenCollection(ctx context.Context, id int64) error {
	return db.exec(ctx, "note that a garbage collection runs", `
		UPDATE registry_collections SET seen_at = clock_timestamp() WHERE id = @id AND finished_at IS NULL`, pgx.NamedArgs{"id": id})
}
