package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// UsageShown is how many repositories and owners Usage returns at most; ListOwnerUsage
// and ListRepositoryUsage have all.
const UsageShown = 1000

// Usage is what the registry's content takes. What several repositories have counts
// in each, and once in the sums of their owner and of all.
type Usage struct {
	Total        constellation.SpaceUse
	Owners       []constellation.OwnerUse   // that take the most
	Repositories []constellation.SpaceUse   // that take the most
	Garbage      *postgres.FoundGarbage     // what a garbage collection would free, as it was last found out; nil: not yet
	Collections  []constellation.Collection // the newest first; the one that runs has no end
	// There are more than those.
	MoreOwners, MoreRepositories bool
	CountedAt                    *time.Time // when the storage was last counted whole; nil: what is older than that is missing
}

// Usage returns what the registry's content takes, with up to most of those that take
// the most; admins only. All of it is kept, and nothing counted for it.
func (s *Service) Usage(ctx context.Context, p Principal, most int) (*Usage, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what the registry takes"); err != nil {
		return nil, err
	}
	total, err := s.db.TotalUsage(ctx)
	if err != nil {
		return nil, err
	}
	u := &Usage{Total: *total}
	list := postgres.List{Sort: "bytes", Desc: true, Limit: most + 1}
	if u.Owners, err = s.db.OwnerUsePage(ctx, list); err != nil {
		return nil, err
	}
	if u.Repositories, err = s.db.RepositoryUsePage(ctx, list); err != nil {
		return nil, err
	}
	u.MoreOwners, u.MoreRepositories = len(u.Owners) > most, len(u.Repositories) > most
	u.Owners, u.Repositories = u.Owners[:min(most, len(u.Owners))], u.Repositories[:min(most, len(u.Repositories))]
	if u.Collections, err = s.db.Collections(ctx, space.CollectionsShown); err != nil {
		return nil, err
	}
	if u.CountedAt, err = s.db.LastScan(ctx); err != nil {
		return nil, err
	}
	u.Garbage, err = s.db.FoundGarbage(ctx)
	return u, err
}

// FindGarbage finds out what a garbage collection would free, for Usage, unless that was
// done not long ago.
func (s *Service) FindGarbage(ctx context.Context) error {
	return s.ledger().FindGarbage(ctx, s.options.Collection)
}

// SumFaults compares the sums that are kept of what the registry takes with all that
// they are of, and returns up to limit that differ; admins only.
func (s *Service) SumFaults(ctx context.Context, p Principal, limit int) ([]postgres.SumFault, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "comparing sums"); err != nil {
		return nil, err
	}
	return s.db.SumFaults(ctx, limit)
}

// RecountSums makes those sums anew; pushes wait meanwhile. Admins only.
func (s *Service) RecountSums(ctx context.Context, p Principal) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, "counting sums anew"); err != nil {
		return err
	}
	return s.db.RecountSums(ctx)
}
