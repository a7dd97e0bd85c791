package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// satelliteKeyColumns are those of a constellation.SatelliteKey.
const satelliteKeyColumns = `k.id, k.name, k.prefix, k.sha256, k.algorithms, k.created_at, k.created_by, k.expires_at, k.revoked_at, k.last_used_at, k.callback_url,
	jsonb_build_object('per_second', k.rate_per_second, 'burst', k.rate_burst) AS rate`

var satelliteKeyOrder = ordering{
	sorts: map[string]column{
		"name":       {"k.name_key", "text"},
		"created_at": {"k.created_at", "timestamptz"},
	},
	id:     column{"k.id", "uuid"},
	search: "k.name_key",
}

// SatelliteKeys returns a page of a satellite's keys, revoked ones too.
func (db *DB) SatelliteKeys(ctx context.Context, satelliteID string, l List) ([]constellation.SatelliteKey, error) {
	return list[constellation.SatelliteKey](ctx, db, "list satellite keys", listQuery{order: satelliteKeyOrder, rows: selection{
		columns: satelliteKeyColumns,
		from:    `satellite_keys k`,
		where:   `k.satellite_id = @satellite_id`,
	}, args: pgx.NamedArgs{"satellite_id": satelliteID}}, l)
}

// SatelliteKey returns a satellite's key by its id.
func (db *DB) SatelliteKey(ctx context.Context, satelliteID, keyID string) (*constellation.SatelliteKey, error) {
	return collectOne[constellation.SatelliteKey](ctx, db, "get satellite key", `
		SELECT `+satelliteKeyColumns+`
		FROM satellite_keys k
		WHERE satellite_id = @satellite_id AND id = @id`,
		pgx.NamedArgs{"satellite_id": satelliteID, "id": keyID},
		constellation.Errorf(constellation.KindNotFound, "satellite %s has no key %q", satelliteID, keyID))
}

// WorkingSatelliteKeys returns every key of a satellite that is neither revoked
// nor expired at a moment, oldest first: what its bundles carry.
func (db *DB) WorkingSatelliteKeys(ctx context.Context, satelliteID string, at time.Time) ([]constellation.SatelliteKey, error) {
	keys, err := db.workingSatelliteKeys(ctx, []string{satelliteID}, at)
	return keys[satelliteID], err
}

// workingSatelliteKeys returns the same of several satellites.
func (db *DB) workingSatelliteKeys(ctx context.Context, satelliteIDs []string, at time.Time) (map[string][]constellation.SatelliteKey, error) {
	type row struct {
		SatelliteID string
		constellation.SatelliteKey
	}
	list, err := collect[row](ctx, db, "list working satellite keys", `
		SELECT k.satellite_id, `+satelliteKeyColumns+`
		FROM satellite_keys k
		WHERE satellite_id = ANY (@ids::uuid[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @at)
		ORDER BY created_at, id`,
		pgx.NamedArgs{"ids": satelliteIDs, "at": at})
	keys := map[string][]constellation.SatelliteKey{}
	for _, r := range list {
		keys[r.SatelliteID] = append(keys[r.SatelliteID], r.SatelliteKey)
	}
	return keys, err
}

// SatelliteKeyRoom measures the working keys of a satellite, and one more of a
// name and vanity URLs, as constellation.KeyRoom counts them.
func (db *DB) SatelliteKeyRoom(ctx context.Context, satelliteID string, at time.Time, more *constellation.SatelliteKey) (*constellation.KeyRoom, error) {
	return collectOne[constellation.KeyRoom](ctx, db, "measure satellite keys", `
		WITH working AS (
			SELECT name, algorithms, callback_url FROM satellite_keys
			WHERE satellite_id = @satellite_id AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > @at)
			UNION ALL SELECT @name, @algorithms::text[], @callback_url
		), vanity AS (
			SELECT DISTINCT unnest(algorithms) AS url FROM working
		)
		SELECT count(*) AS keys, coalesce(sum(octet_length(to_json(name)::text)), 0) AS names, coalesce(sum(cardinality(algorithms)), 0) AS algorithms,
			coalesce(sum(octet_length(to_json(callback_url)::text)), 0) AS callbacks,
			(SELECT count(*) FROM vanity) AS vanity_urls, (SELECT coalesce(sum(octet_length(url)), 0) FROM vanity) AS vanity_names
		FROM working`,
		pgx.NamedArgs{"satellite_id": satelliteID, "at": at, "name": more.Name, "algorithms": more.Algorithms, "callback_url": more.CallbackURL}, nil)
}

// Access returns who may call a satellite's algorithms at now, and until when, as
// one version has it.
func (db *DB) Access(ctx context.Context, satelliteID string, now time.Time) (*constellation.Access, error) {
	access, err := db.Accesses(ctx, []string{satelliteID}, now)
	if err != nil {
		return nil, err
	}
	if a := access[satelliteID]; a != nil {
		return a, nil
	}
	return nil, constellation.Errorf(constellation.KindNotFound, "there is no satellite %q", satelliteID)
}

// Accesses returns, by satellite, who may call its algorithms at now, and until
// when, as one version has it. It leaves out satellites that are not there.
func (db *DB) Accesses(ctx context.Context, satelliteIDs []string, now time.Time) (map[string]*constellation.Access, error) {
	const attempts = 5
	found := make(map[string]*constellation.Access, len(satelliteIDs))
	for range attempts {
		before, err := db.accessVersions(ctx, satelliteIDs)
		if err != nil {
			return nil, err
		}
		keys, err := db.workingSatelliteKeys(ctx, satelliteIDs, now)
		if err != nil {
			return nil, err
		}
		after, err := db.accessVersions(ctx, satelliteIDs)
		if err != nil {
			return nil, err
		}
		satelliteIDs = nil // those that changed between, which are read again
		for id, a := range after {
			if b, ok := before[id]; !ok || b.Version != a.Version {
				satelliteIDs = append(satelliteIDs, id)
				continue
			}
			found[id] = &constellation.Access{Version: a.Version, ExpiresAt: a.ExpiresAt, Keys: keys[id]}
		}
		if len(satelliteIDs) == 0 {
			return found, nil
		}
	}
	return nil, constellation.Errorf(constellation.KindUnavailable, "the satellite's keys change faster than they can be read; try again in a moment")
}

// accessVersion is what numbers a satellite's access.
type accessVersion struct {
	ID        string
	Version   int64
	ExpiresAt time.Time
}

func (db *DB) accessVersions(ctx context.Context, satelliteIDs []string) (map[string]accessVersion, error) {
	list, err := collect[accessVersion](ctx, db, "get access versions", `
		SELECT id, access_version AS version, expires_at FROM satellites WHERE id = ANY (@ids::uuid[])`,
		pgx.NamedArgs{"ids": satelliteIDs})
	versions := make(map[string]accessVersion, len(list))
	for _, v := range list {
		versions[v.ID] = v
	}
	return versions, err
}

// InsertSatelliteKey adds a key of a satellite.
func (db *DB) InsertSatelliteKey(ctx context.Context, satelliteID string, k *constellation.SatelliteKey) error {
	return db.exec(ctx, "insert satellite key", `
		INSERT INTO satellite_keys (id, satellite_id, name, name_key, prefix, sha256, algorithms, rate_per_second, rate_burst, created_at, created_by, expires_at, callback_url)
		VALUES (@id, @satellite_id, @name, @key, @prefix, @sha256, @algorithms, @rate_per_second, @rate_burst, @created_at, @created_by, @expires_at, @callback_url)`,
		pgx.NamedArgs{
			"id": k.ID, "satellite_id": satelliteID, "name": k.Name, "key": constellation.Fold(k.Name), "prefix": k.Prefix,
			"sha256": k.SHA256, "algorithms": k.Algorithms, "rate_per_second": k.Rate.PerSecond, "rate_burst": k.Rate.Burst, "created_at": k.CreatedAt, "created_by": k.CreatedBy, "expires_at": k.ExpiresAt,
			"callback_url": k.CallbackURL,
		})
}

// RevokeSatelliteKey makes a satellite's key leave its bundles.
func (db *DB) RevokeSatelliteKey(ctx context.Context, keyID string, at time.Time) error {
	return db.exec(ctx, "revoke satellite key", `
		UPDATE satellite_keys SET revoked_at = @at WHERE id = @id AND revoked_at IS NULL`,
		pgx.NamedArgs{"id": keyID, "at": at})
}

// KeyUse is a call with a key that a satellite reported.
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
