package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// LaunchBundle is a bundle that was given out.
type LaunchBundle struct {
	Inputs, SatelliteID, LaunchID string
	Sealed                        []byte
}

// PutLaunchBundle keeps a bundle that holds these digests, unless it is kept.
func (db *DB) PutLaunchBundle(ctx context.Context, b LaunchBundle, holds []string, at time.Time) error {
	return db.exec(ctx, "keep a bundle", `
		INSERT INTO launch_bundles (inputs, satellite_id, launch_id, holds, sealed, built_at)
		VALUES (@inputs, @satellite_id, @launch_id, @holds, @sealed, @at)
		ON CONFLICT (inputs) DO UPDATE SET built_at = excluded.built_at`,
		pgx.NamedArgs{"inputs": b.Inputs, "satellite_id": b.SatelliteID, "launch_id": b.LaunchID, "holds": holds, "sealed": b.Sealed, "at": at})
}

// LaunchBundle returns the newest bundle of a satellite that holds a digest, nil when
// none does.
func (db *DB) LaunchBundle(ctx context.Context, satelliteID, digest string) (*LaunchBundle, error) {
	list, err := collect[LaunchBundle](ctx, db, "look for a bundle", `
		SELECT inputs, satellite_id, launch_id, sealed FROM launch_bundles
		WHERE satellite_id = @satellite_id AND holds @> ARRAY[@digest::text] ORDER BY built_at DESC LIMIT 1`,
		pgx.NamedArgs{"satellite_id": satelliteID, "digest": digest})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// PurgeLaunchBundles removes bundles that were made before then.
func (db *DB) PurgeLaunchBundles(ctx context.Context, before time.Time) error {
	return db.exec(ctx, "purge bundles", `DELETE FROM launch_bundles WHERE built_at < @before`, pgx.NamedArgs{"before": before})
}
