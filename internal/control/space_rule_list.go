package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var quotaListing = listing[constellation.Quota]{
	name: "quotas", fallback: "owner",
	sorts: map[string]sortKey[constellation.Quota]{
		"owner":  byText(func(q *constellation.Quota) string { return q.Owner }),
		"bytes":  byNumber(func(q *constellation.Quota) int64 { return q.Bytes }),
		"set_at": byTime(func(q *constellation.Quota) time.Time { return q.SetAt }),
	},
	id: byText(func(q *constellation.Quota) string { return q.Owner }),
}

// ListQuotas returns a page of owners' quotas; admins only.
func (s *Service) ListQuotas(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Quota], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading quotas"); err != nil {
		return Page[constellation.Quota]{}, err
	}
	list, err := quotaListing.parse(q)
	if err != nil {
		return Page[constellation.Quota]{}, err
	}
	rows, err := s.db.QuotaPage(ctx, list)
	return quotaListing.page(list, rows), err
}

var retentionListing = listing[constellation.RetentionRule]{
	name: "retention_rules", fallback: "scope",
	sorts: map[string]sortKey[constellation.RetentionRule]{
		"scope":  byText(func(r *constellation.RetentionRule) string { return r.Scope }),
		"set_at": byTime(func(r *constellation.RetentionRule) time.Time { return r.SetAt }),
	},
	id: byText(func(r *constellation.RetentionRule) string { return r.Scope }),
}

// ListRetentionRules returns a page of the rules by which versions go by themselves;
// admins only.
func (s *Service) ListRetentionRules(ctx context.Context, p Principal, q ListQuery) (Page[constellation.RetentionRule], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading retention rules"); err != nil {
		return Page[constellation.RetentionRule]{}, err
	}
	list, err := retentionListing.parse(q)
	if err != nil {
		return Page[constellation.RetentionRule]{}, err
	}
	rows, err := s.db.RetentionRulePage(ctx, list)
	return retentionListing.page(list, rows), err
}

// MaxRetired is how many versions PreviewRetention returns at most.
const MaxRetired = 1000

// PreviewRetention returns up to MaxRetired versions that the rules let go now, the
// oldest first, and whether there are more: with as not nil, as if its scope had that
// rule. Nothing is changed; admins only.
func (s *Service) PreviewRetention(ctx context.Context, p Principal, as *constellation.RetentionRule) (versions []constellation.AlgorithmRef, more bool, err error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading retention rules"); err != nil {
		return nil, false, err
	}
	if as != nil {
		var v constellation.Validation
		as.Check(&v)
		if err := v.Err(); err != nil {
			return nil, false, err
		}
	}
	err = s.DryRun(ctx, func(s *Service) error {
		versions = nil
		if as != nil {
			rule := *as
			rule.Scope, rule.SetAt, rule.SetBy = constellation.Fold(rule.Scope), s.now(), p.Username
			if err := s.db.UpsertRetentionRule(ctx, rule); err != nil {
				return err
			}
		}
		rows, err := s.db.RetiredVersions(ctx, s.now(), MaxRetired+1)
		for _, v := range rows {
			versions = append(versions, constellation.AlgorithmRef{Owner: v.Owner, Name: v.Name, Hash: v.GitHash})
		}
		return err
	})
	if more = len(versions) > MaxRetired; more {
		versions = versions[:MaxRetired]
	}
	return versions, more, err
}
