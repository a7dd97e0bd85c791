package postgres

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var quotaOrder = ordering{
	sorts: map[string]column{
		"owner": {"q.owner", "text"}, "bytes": {"q.bytes", "bigint"}, "set_at": {"q.set_at", "timestamptz"},
	},
	id:     column{"q.owner", "text"},
	search: "q.owner",
}

// QuotaPage returns a page of quotas.
func (db *DB) QuotaPage(ctx context.Context, l List) ([]constellation.Quota, error) {
	return list[constellation.Quota](ctx, db, "list quotas", listQuery{order: quotaOrder, rows: selection{
		columns: `q.owner, q.bytes, q.set_at, q.set_by`, from: `registry_quotas q`,
	}}, l)
}

var retentionOrder = ordering{
	sorts:  map[string]column{"scope": {"r.scope", "text"}, "set_at": {"r.set_at", "timestamptz"}},
	id:     column{"r.scope", "text"},
	search: "r.scope",
}

// RetentionRulePage returns a page of retention rules.
func (db *DB) RetentionRulePage(ctx context.Context, l List) ([]constellation.RetentionRule, error) {
	return list[constellation.RetentionRule](ctx, db, "list retention rules", listQuery{order: retentionOrder, rows: selection{
		columns: `r.scope, r.keep, r.days, r.set_at, r.set_by`, from: `retention_rules r`,
	}}, l)
}
