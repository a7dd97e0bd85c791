package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// RetentionRules returns which versions go by themselves; admins only.
func (s *Service) RetentionRules(ctx context.Context, p Principal) ([]constellation.RetentionRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading retention rules"); err != nil {
		return nil, err
	}
	return s.db.RetentionRules(ctx)
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
