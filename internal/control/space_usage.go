package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// usageShown is how many repositories and owners Usage returns at most; ListOwnerUsage
// and ListRepositoryUsage have all.
const usageShown = 1000

// Usage is what the registry's content takes. What several repositories have counts
// in each, and once in the sums of their owner and of all.
type Usage struct {
	Total        constellation.SpaceUse
	Owners       []constellation.OwnerUse   // that take the most
	Repositories []constellation.SpaceUse   // that take the most
	Garbage      []constellation.SpaceUse   // what a garbage collection would free now
	Collections  []constellation.Collection // the newest first; the one that runs has no end
	// There are more than those.
	MoreOwners, MoreRepositories bool
	CountedAt                    *time.Time // when the storage was last counted whole; nil: what is older than that is missing
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
	most := postgres.List{Sort: "bytes", Desc: true, Limit: usageShown + 1}
	if u.Owners, err = s.db.OwnerUsePage(ctx, most); err != nil {
		return nil, err
	}
	if u.Repositories, err = s.db.RepositoryUsePage(ctx, most); err != nil {
		return nil, err
	}
	u.MoreOwners, u.MoreRepositories = len(u.Owners) > usageShown, len(u.Repositories) > usageShown
	u.Owners, u.Repositories = u.Owners[:min(usageShown, len(u.Owners))], u.Repositories[:min(usageShown, len(u.Repositories))]
	if u.Collections, err = s.db.Collections(ctx, space.CollectionsShown); err != nil {
		return nil, err
	}
	if u.CountedAt, err = s.db.LastScan(ctx); err != nil {
		return nil, err
	}
	u.Garbage, err = s.garbage(ctx)
	return u, err
}

// garbageAge is how old what Usage says of garbage may be: finding it reads every row.
const garbageAge = 10 * time.Second

// garbage returns what a garbage collection would free, as far as the storage was
// counted.
func (s *Service) garbage(ctx context.Context) ([]constellation.SpaceUse, error) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	if now := s.now(); s.memory.garbageAt.IsZero() || now.Sub(s.memory.garbageAt) >= garbageAge {
		o := s.options.Collection
		since, err := s.db.Ago(ctx, o.Grace, max(o.Grace, o.TagGrace))
		if err != nil {
			return nil, err
		}
		if s.memory.garbage, err = s.db.Garbage(ctx, *since); err != nil {
			return nil, err
		}
		s.memory.garbageAt = now
	}
	return s.memory.garbage, nil
}
