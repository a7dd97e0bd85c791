package postgres

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Mothership is what a database says of its mothership.
type Mothership struct {
	ID             string
	StoreClaimedAt *time.Time // when a store was first marked as its own
}

// Mothership returns what the database says of its mothership.
func (db *DB) Mothership(ctx context.Context) (*Mothership, error) {
	return collectOne[Mothership](ctx, db, "read the mothership's id", `SELECT id, store_claimed_at FROM mothership`, nil,
		constellation.Errorf(constellation.KindConflict, "the database has lost the row that says which mothership it is; restore it from a backup"))
}

// ClaimStore notes that a store was marked as this mothership's.
func (db *DB) ClaimStore(ctx context.Context) error {
	return db.exec(ctx, "note that a store was claimed", `UPDATE mothership SET store_claimed_at = now() WHERE store_claimed_at IS NULL`, nil)
}

// ImageRef names an image of the registry.
type ImageRef struct{ Repository, Digest string }

// NewestImage returns the image of the newest algorithm version, nil when there is
// none.
func (db *DB) NewestImage(ctx context.Context) (*ImageRef, error) {
	images, err := collect[ImageRef](ctx, db, "look for the newest image", `
		SELECT a.repository, v.digest FROM algorithm_versions v JOIN algorithms a ON a.id = v.algorithm_id
		WHERE v.state = 'ready' AND v.digest <> '' ORDER BY v.created_at DESC LIMIT 1`, nil)
	if err != nil || len(images) == 0 {
		return nil, err
	}
	return &images[0], nil
}
