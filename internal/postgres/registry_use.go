package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var ownerUseOrder = ordering{
	sorts:  map[string]column{"owner": {"u.owner", "text"}, "bytes": {"u.bytes", "bigint"}},
	id:     column{"u.owner", "text"},
	search: "u.owner",
}

// OwnerUsePage returns a page of what owners take, and of those that have a quota.
func (db *DB) OwnerUsePage(ctx context.Context, l List) ([]constellation.OwnerUse, error) {
	return list[constellation.OwnerUse](ctx, db, "list usage of owners", listQuery{order: ownerUseOrder, rows: selection{
		columns: `u.owner AS name, u.blobs, u.bytes, q.bytes AS quota`,
		from:    `registry_owner_usage u LEFT JOIN registry_quotas q ON q.owner = u.owner`,
		where:   `(u.blobs > 0 OR q.owner IS NOT NULL)`,
	}}, l)
}

// OwnerUse returns what an owner takes, which may be nothing.
func (db *DB) OwnerUse(ctx context.Context, owner string) (*constellation.OwnerUse, error) {
	return collectOne[constellation.OwnerUse](ctx, db, "get usage of owner", `
		SELECT w.owner AS name, coalesce(u.blobs, 0) AS blobs, coalesce(u.bytes, 0) AS bytes, q.bytes AS quota
		FROM (SELECT @owner::text COLLATE "C" AS owner) w
		LEFT JOIN registry_owner_usage u ON u.owner = w.owner LEFT JOIN registry_quotas q ON q.owner = w.owner`,
		pgx.NamedArgs{"owner": owner}, nil)
}

var repositoryUseOrder = ordering{
	sorts:  map[string]column{"repository": {"u.repository", "text"}, "bytes": {"u.bytes", "bigint"}},
	id:     column{"u.repository", "text"},
	search: "u.repository",
}

// RepositoryUsePage returns a page of what repositories take.
func (db *DB) RepositoryUsePage(ctx context.Context, l List) ([]constellation.SpaceUse, error) {
	return list[constellation.SpaceUse](ctx, db, "list usage of repositories", listQuery{order: repositoryUseOrder, rows: selection{
		columns: `u.repository AS name, u.blobs, u.bytes`, from: `registry_usage u`, where: `u.blobs > 0`,
	}}, l)
}

// QuotaTold says that people were told how full an owner's quota is, and returns what
// they were told before.
func (db *DB) QuotaTold(ctx context.Context, owner string, percent int) (before int, err error) {
	return scalar[int](ctx, db, "note what was told of a quota", `
		WITH before AS (SELECT owner, told FROM registry_quotas WHERE owner = @owner FOR UPDATE)
		UPDATE registry_quotas q SET told = @percent FROM before b WHERE q.owner = b.owner RETURNING b.told::int`,
		pgx.NamedArgs{"owner": owner, "percent": percent})
}

// LowerQuotasTold has people told anew of the quotas that owners no longer fill.
func (db *DB) LowerQuotasTold(ctx context.Context, levels []int) error {
	return db.exec(ctx, "note that quotas are free again", `
		UPDATE registry_quotas q SET told = now_at.level
		FROM (
			SELECT q.owner, coalesce(max(l.level), 0)::smallint AS level
			FROM registry_quotas q LEFT JOIN registry_owner_usage u ON u.owner = q.owner
			LEFT JOIN unnest(@levels::int[]) AS l (level) ON coalesce(u.bytes, 0)::numeric * 100 >= q.bytes::numeric * l.level
			WHERE q.told > 0 GROUP BY q.owner) now_at
		WHERE q.owner = now_at.owner AND q.told > now_at.level`, pgx.NamedArgs{"levels": levels})
}
