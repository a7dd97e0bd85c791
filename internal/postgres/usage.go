package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// UsageLimit is up to where the uses of an algorithm version are counted:
// beyond, the exact number costs more than it tells.
const UsageLimit = 100

// UsageCounts returns under how many vanity URLs of satellites' latest versions
// each algorithm version is, up to UsageLimit, by the version's id.
func (db *DB) UsageCounts(ctx context.Context, versionIDs []string) (map[string]int, error) {
	type row struct {
		ID   string
		Uses int
	}
	rows, err := collect[row](ctx, db, "count uses", `
		SELECT wanted.id::text AS id, u.uses
		FROM unnest(@ids::uuid[]) AS wanted(id)
		CROSS JOIN LATERAL (
			SELECT count(*)::int AS uses FROM (
				SELECT FROM satellite_uses x JOIN satellites s ON s.id = x.satellite_id AND s.latest_version = x.number
				WHERE x.algorithm_version_id = wanted.id
				LIMIT @limit) AS found) u`,
		pgx.NamedArgs{"ids": versionIDs, "limit": UsageLimit})
	counts := make(map[string]int, len(rows))
	for _, r := range rows {
		counts[r.ID] = r.Uses
	}
	return counts, err
}

var usageOrder = ordering{
	sorts: map[string]column{"name": {"s.name_key", "text"}},
	id:    column{"s.id", "uuid"},
}

// Uses returns a page of the satellites whose latest version has an algorithm
// version.
func (db *DB) Uses(ctx context.Context, versionID string, l List) ([]constellation.Use, error) {
	return list[constellation.Use](ctx, db, "list uses", listQuery{order: usageOrder, rows: selection{
		columns: `s.id AS satellite_id, s.name AS satellite_name, s.latest_version AS satellite_version,
			array_agg(x.vanity_url ORDER BY x.position) AS vanity_urls, sum(x.replicas)::int AS replicas,
			array_agg(DISTINCT a.runtime_revision) AS runtime_revisions`,
		from: `satellite_uses x JOIN satellites s ON s.id = x.satellite_id AND s.latest_version = x.number
			JOIN satellite_algorithms a ON (a.satellite_id, a.number, a.position) = (x.satellite_id, x.number, x.position)`,
		where:   `x.algorithm_version_id = @version_id`,
		groupBy: `s.id`,
	}, args: pgx.NamedArgs{"version_id": versionID}}, l)
}
