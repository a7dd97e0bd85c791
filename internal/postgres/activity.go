package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var activityOrder = ordering{id: column{"e.id", "bigint"}}

// SatelliteEvents returns a page of the audit log's rows about a satellite, its
// launches and its keys, by their id; onlyID not "" is those about that one
// launch or key.
func (db *DB) SatelliteEvents(ctx context.Context, satelliteID, onlyID string, l List) ([]constellation.Event, error) {
	return list[constellation.Event](ctx, db, "list a satellite's events", listQuery{order: activityOrder, rows: selection{
		columns: `e.id, e.at, e.actor, e.actor_key_id, e.action, e.target_kind, e.target_id, e.target_name, e.before, e.after, e.address`,
		from:    `events e`,
		where: `coalesce(e.after ->> 'satellite_id', e.before ->> 'satellite_id', CASE WHEN e.target_kind = 'satellite' THEN e.target_id END) = @satellite_id
			AND (@only_id = '' OR e.target_id = @only_id)`,
	}, args: pgx.NamedArgs{"satellite_id": satelliteID, "only_id": onlyID}}, l)
}
