package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Quotas returns every owner's quota; admins only.
func (s *Service) Quotas(ctx context.Context, p Principal) ([]constellation.Quota, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading quotas"); err != nil {
		return nil, err
	}
	return s.db.Quotas(ctx)
}

type quotaView struct {
	Owner string `json:"owner"`
	Bytes int64  `json:"bytes"`
}

// SetQuota sets how many bytes an owner's repositories may take. What is there
// already stays.
func (s *Service) SetQuota(ctx context.Context, p Principal, owner string, bytes int64) (*constellation.Quota, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "setting a quota"); err != nil {
		return nil, err
	}
	var v constellation.Validation
	constellation.CheckOwnerName(&v, "owner", owner, "owner", "any")
	if bytes < 0 {
		v.Add("bytes", "a quota is a number of bytes from 0 on; not %d", bytes)
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	q := constellation.Quota{Owner: constellation.Fold(owner), Bytes: bytes, SetAt: s.now(), SetBy: p.Username}
	return &q, s.transact(ctx, func(s *Service) error {
		if err := s.db.UpsertQuota(ctx, q); err != nil {
			return err
		}
		return s.audit(ctx, p, "quota.set", target{"owner", q.Owner, q.Owner}, nil, quotaView{q.Owner, q.Bytes})
	})
}

// RemoveQuota lets an owner's repositories take what they like.
func (s *Service) RemoveQuota(ctx context.Context, p Principal, owner string) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, "removing a quota"); err != nil {
		return err
	}
	owner = constellation.Fold(owner)
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.DeleteQuota(ctx, owner); err != nil {
			return err
		}
		return s.audit(ctx, p, "quota.remove", target{"owner", owner, owner}, quotaView{Owner: owner}, nil)
	})
}

// RetentionRules returns which versions go by themselves; admins only.
func (s *Service) RetentionRules(ctx context.Context, p Principal) ([]constellation.RetentionRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading retention rules"); err != nil {
		return nil, err
	}
	return s.db.RetentionRules(ctx)
}

// RetentionRule returns the rule of a scope; admins only.
func (s *Service) RetentionRule(ctx context.Context, p Principal, scope string) (*constellation.RetentionRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading retention rules"); err != nil {
		return nil, err
	}
	return s.db.RetentionRule(ctx, constellation.Fold(scope))
}

type retentionView struct {
	Scope        string `json:"scope"`
	KeepVersions int    `json:"keep_versions"`
	AfterDays    int    `json:"after_days"`
}

// SetRetentionRule sets the rule of a scope. Garbage collections remove the versions
// that it lets go.
func (s *Service) SetRetentionRule(ctx context.Context, p Principal, r constellation.RetentionRule) (*constellation.RetentionRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "setting a retention rule"); err != nil {
		return nil, err
	}
	var v constellation.Validation
	r.Check(&v)
	if err := v.Err(); err != nil {
		return nil, err
	}
	r.Scope, r.SetAt, r.SetBy = constellation.Fold(r.Scope), s.now(), p.Username
	return &r, s.transact(ctx, func(s *Service) error {
		if err := s.db.UpsertRetentionRule(ctx, r); err != nil {
			return err
		}
		return s.audit(ctx, p, "retention.set", retentionTarget(r.Scope), nil, retentionView{r.Scope, r.Keep, r.Days})
	})
}

// RemoveRetentionRule removes the rule of a scope.
func (s *Service) RemoveRetentionRule(ctx context.Context, p Principal, scope string) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, "removing a retention rule"); err != nil {
		return err
	}
	scope = constellation.Fold(scope)
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.DeleteRetentionRule(ctx, scope); err != nil {
			return err
		}
		return s.audit(ctx, p, "retention.remove", retentionTarget(scope), retentionView{Scope: scope}, nil)
	})
}

func retentionTarget(scope string) target {
	if scope == "" {
		return target{"retention", "all", "every algorithm"}
	}
	return target{"retention", scope, scope}
}
