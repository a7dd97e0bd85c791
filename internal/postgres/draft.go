package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SatelliteDraft returns an account's draft.
func (db *DB) SatelliteDraft(ctx context.Context, accountID, id string) (*constellation.SatelliteDraft, error) {
	type row struct {
		SatelliteID string
		Content     constellation.SatelliteDraft
	}
	r, err := collectOne[row](ctx, db, "get draft", `
		SELECT coalesce(satellite_id::text, '') AS satellite_id, content
		FROM satellite_drafts WHERE id = @id AND account_id = @account_id`,
		pgx.NamedArgs{"id": id, "account_id": accountID},
		constellation.Errorf(constellation.KindNotFound, "there is no draft %s of yours; it was saved, discarded or is older than a month", id))
	if err != nil {
		return nil, err
	}
	r.Content.ID, r.Content.SatelliteID = id, r.SatelliteID
	return &r.Content, nil
}

// KeepSatelliteDraft stores a draft, in place of the one of that id; false is
// that the id is another account's.
func (db *DB) KeepSatelliteDraft(ctx context.Context, accountID string, d *constellation.SatelliteDraft, now time.Time) (bool, error) {
	type row struct{ ID string }
	rows, err := collect[row](ctx, db, "keep draft", `
		INSERT INTO satellite_drafts (id, account_id, satellite_id, content, updated_at)
		VALUES (@id, @account_id, nullif(@satellite_id, '')::uuid, @content, @now)
		ON CONFLICT (id) DO UPDATE SET content = excluded.content, updated_at = excluded.updated_at
			WHERE satellite_drafts.account_id = excluded.account_id
				AND satellite_drafts.satellite_id IS NOT DISTINCT FROM excluded.satellite_id
		RETURNING id`,
		pgx.NamedArgs{"id": d.ID, "account_id": accountID, "satellite_id": d.SatelliteID, "content": d, "now": now})
	return len(rows) == 1, err
}

// DropSatelliteDraft forgets an account's draft, if there is one.
func (db *DB) DropSatelliteDraft(ctx context.Context, accountID, id string) error {
	return db.exec(ctx, "drop draft", `DELETE FROM satellite_drafts WHERE id = @id AND account_id = @account_id`,
		pgx.NamedArgs{"id": id, "account_id": accountID})
}

// PurgeSatelliteDrafts forgets drafts that nobody touched since before.
func (db *DB) PurgeSatelliteDrafts(ctx context.Context, before time.Time) error {
	return db.exec(ctx, "purge drafts", `DELETE FROM satellite_drafts WHERE updated_at < @before`, pgx.NamedArgs{"before": before})
}
