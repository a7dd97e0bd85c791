package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Owners returns owners whose folded name begins with prefix, by name.
func (db *DB) Owners(ctx context.Context, prefix string, limit int) ([]string, error) {
	type row struct{ Name string }
	rows, err := collect[row](ctx, db, "complete owners", `
		SELECT name FROM owners WHERE name_key LIKE @pattern ORDER BY name_key LIMIT @limit`,
		pgx.NamedArgs{"pattern": likeEscaper.Replace(prefix) + "%", "limit": limit})
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Name
	}
	return names, err
}

// AlgorithmsOf returns algorithms whose OWNER/NAME, in lower case, begins with
// prefix, by name, each with its newest ready version.
func (db *DB) AlgorithmsOf(ctx context.Context, prefix string, limit int) ([]constellation.Algorithm, error) {
	rows, err := collect[algorithmRow](ctx, db, "complete algorithms", `
		SELECT g.id, o.name AS owner, g.name, g.created_at,
			(SELECT count(*) FROM algorithm_versions v WHERE v.algorithm_id = g.id)::int AS version_count
		FROM algorithms g JOIN owners o ON o.id = g.owner_id
		WHERE g.repository LIKE @pattern ORDER BY g.repository LIMIT @limit`,
		pgx.NamedArgs{"pattern": likeEscaper.Replace(prefix) + "%", "limit": limit})
	if err != nil {
		return nil, err
	}
	return db.withLatest(ctx, rows)
}
