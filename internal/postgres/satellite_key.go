package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// satelliteKeyColumns are those of a constellation.SatelliteKey.
const satelliteKeyColumns = `k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate`

var satelliteKeyOrder = ordering{
	sorts: map[string]column{
		"name":       {"k.name_key", "text"},
		"created_at": {"k.created_at", "timestamptz"},
	},
	id:     column{"k.id", "uuid"},
	search: "k.name_key",
}

// SatelliteKeys gives a page of a satellite's keys, revoked ones too.
func (db *DB) SatelliteKeys(ctx context.Context, satelliteID string, l List) ([]constellation.SatelliteKey, error) {
	sql, args := satelliteKeyOrder.page(`
		SELECT `+satelliteKeyColumns+`
		FROM satellite_keys k
		WHERE k.satellite_id = @satellite_id /*page*/
		/*order*/`, l, pgx.NamedArgs{"satellite_id": satelliteID})
	return collect[constellation.SatelliteKey](ctx, db, "list satellite keys", sql, args)
}

// SatelliteKey gives a satellite's key by its id.
func (db *DB) SatelliteKey(ctx context.Context, satelliteID, keyID string) (*constellation.SatelliteKey, error) {
	return collectOne[constellation.SatelliteKey](ctx, db, "get satellite key", `
		SELECT `+satelliteKeyColumns+`
		FROM satellite_keys k
		WHERE satellite_id = @satellite_id AND id = @id`,
		pgx.NamedArgs{"satellite_id": satelliteID, "id": keyID},
		constellation.Errorf(constellation.KindNotFound, "satellite %s has no key %q", satelliteID, keyID))
}

// WorkingSatelliteKeys gives every key of a satellite that is not revoked,
// oldest first: what its bundles carry.
func (db *DB) WorkingSatelliteKeys(ctx context.Context, satelliteID string) ([]constellation.SatelliteKey, error) {
	return collect[constellation.SatelliteKey](ctx, db, "list working satellite keys", `
		SELECT `+satelliteKeyColumns+`
		FROM satellite_keys k
		WHERE satellite_id = @satellite_id AND revoked_at IS NULL
		ORDER BY created_at, id`,
		pgx.NamedArgs{"satellite_id": satelliteID})
}

// InsertSatelliteKey adds a key of a satellite.
func (db *DB) InsertSatelliteKey(ctx context.Context, satelliteID string, k *constellation.SatelliteKey) error {
	return db.exec(ctx, "insert satellite key", `
		INSERT INTO satellite_keys (id, satellite_id, name, name_key, prefix, sha256, algorithms, rate_per_second, rate_burst, created_at, created_by, expires_at)
		VALUES (@id, @satellite_id, @name, @key, @prefix, @sha256, @algorithms, @rate_per_second, @rate_burst, @created_at, @created_by, @expires_at)`,
		pgx.NamedArgs{
			"id": k.ID, "satellite_id": satelliteID, "name": k.Name, "key": constellation.Fold(k.Name), "prefix": k.Prefix,
			"sha256": k.SHA256, "algorithms": k.Algorithms, "rate_per_second": k.Rate.PerSecond, "rate_burst": k.Rate.Burst, "created_at": k.CreatedAt, "created_by": k.CreatedBy, "expires_at": k.ExpiresAt,
		})
}

// RevokeSatelliteKey makes a satellite's key leave its bundles.
func (db *DB) RevokeSatelliteKey(ctx context.Context, keyID string, at time.Time) error {
	return db.exec(ctx, "revoke satellite key", `
		UPDATE satellite_keys SET revoked_at = @at WHERE id = @id AND revoked_at IS NULL`,
		pgx.NamedArgs{"id": keyID, "at": at})
}

// KeyUse says that a satellite reported a call with a key.
type KeyUse struct {
	KeyID, SatelliteID string
	At                 time.Time
}

// NoteKeyUses keeps when keys were last used, to the minute.
func (db *DB) NoteKeyUses(ctx context.Context, uses []KeyUse) error {
	if len(uses) == 0 {
		return nil
	}
	return db.exec(ctx, "note satellite key uses", `
		UPDATE satellite_keys k SET last_used_at = u.at
		FROM (SELECT id, satellite_id, max(at) AS at FROM unnest(@ids::uuid[], @satellites::uuid[], @at::timestamptz[]) AS u(id, satellite_id, at)
			GROUP BY id, satellite_id) u
		WHERE k.id = u.id AND k.satellite_id = u.satellite_id AND (k.last_used_at IS NULL OR k.last_used_at < u.at - interval '1 minute')`,
		pgx.NamedArgs{
			"ids":        each(uses, func(u *KeyUse) string { return u.KeyID }),
			"satellites": each(uses, func(u *KeyUse) string { return u.SatelliteID }),
			"at":         each(uses, func(u *KeyUse) time.Time { return u.At }),
		})
}
