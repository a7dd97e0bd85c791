package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

const (
	// usageShown is how many repositories and owners Usage returns at most.
	usageShown = 1000
	// collectionsShown is how many garbage collections Usage returns at most.
	collectionsShown = 10
)

// Usage is what the registry's content takes. What several repositories have counts
// in each, and once in the sums of their owner and of all.
type Usage struct {
	Total        constellation.SpaceUse
	Owners       []constellation.SpaceUse
	Repositories []constellation.SpaceUse
	Quotas       []constellation.Quota
	Collections  []constellation.Collection // the newest first; the one that runs has no end
	CountedAt    *time.Time                 // when the storage was last counted whole; nil: what is older than that is missing
}

// Usage returns what the registry's content takes, those first that take the most;
// admins only.
func (s *Service) Usage(ctx context.Context, p Principal) (*Usage, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what the registry takes"); err != nil {
		return nil, err
	}
	total, err := s.db.TotalUsage(ctx)
	if err != nil {
		return nil, err
	}
	u := &Usage{Total: *total}
	if u.Owners, err = s.db.OwnerUsage(ctx, usageShown); err != nil {
		return nil, err
	}
	if u.Repositories, err = s.db.RepositoryUsage(ctx, usageShown); err != nil {
		return nil, err
	}
	if u.Quotas, err = s.db.Quotas(ctx); err != nil {
		return nil, err
	}
	if u.Collections, err = s.db.Collections(ctx, collectionsShown); err != nil {
		return nil, err
	}
	u.CountedAt, err = s.db.LastScan(ctx)
	return u, err
}

// Garbage returns what a garbage collection would free, by repository, as far as the
// storage was counted; admins only.
func (s *Service) Garbage(ctx context.Context, p Principal, o CollectOptions) ([]constellation.SpaceUse, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what could be freed"); err != nil {
		return nil, err
	}
	since, err := s.db.Ago(ctx, o.Grace, max(o.Grace, o.TagGrace))
	if err != nil {
		return nil, err
	}
	return s.db.Garbage(ctx, *since)
}
