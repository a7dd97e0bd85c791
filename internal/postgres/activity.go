package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SatelliteEvents gives the newest rows of the audit log about a satellite,
// its launches and its keys, those before the row beforeID when that is not 0;
// onlyID not "" is those about that one launch or key.
func (db *DB) SatelliteEvents(ctx context.Context, satelliteID, onlyID string, beforeID int64, limit int) ([]constellation.Event, error) {
	return collect[constellation.Event](ctx, db, "list a satellite's events", `
		SELECT e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address
		FROM events e
		WHERE coalesce(e.after ->> 'satellite_id', e.before ->> 'satellite_id', CASE WHEN e.target_kind = 'satellite' THEN e.target_id END) = @satellite_id
			AND (@before_id = 0 OR e.id < @before_id) AND (@only_id = '' OR e.target_id = @only_id)
		ORDER BY e.id DESC LIMIT @limit`,
		pgx.NamedArgs{"satellite_id": satelliteID, "only_id": onlyID, "before_id": beforeID, "limit": limit})
}
