package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var ownerUseListing = listing[constellation.OwnerUse]{
	name: "owner_usage", fallback: "-bytes",
	sorts: map[string]sortKey[constellation.OwnerUse]{
		"owner": byText(func(u *constellation.OwnerUse) string { return u.Name }),
		"bytes": byNumber(func(u *constellation.OwnerUse) int64 { return u.Bytes }),
	},
	id: byText(func(u *constellation.OwnerUse) string { return u.Name }),
}

// ListOwnerUsage returns a page of what owners take and may take; admins only.
func (s *Service) ListOwnerUsage(ctx context.Context, p Principal, q ListQuery) (Page[constellation.OwnerUse], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what the registry takes"); err != nil {
		return Page[constellation.OwnerUse]{}, err
	}
	list, err := ownerUseListing.parse(q)
	if err != nil {
		return Page[constellation.OwnerUse]{}, err
	}
	rows, err := s.db.OwnerUsePage(ctx, list)
	return ownerUseListing.page(list, rows), err
}

// OwnerUse returns what an owner takes and may take; admins only.
func (s *Service) OwnerUse(ctx context.Context, p Principal, owner string) (*constellation.OwnerUse, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what the registry takes"); err != nil {
		return nil, err
	}
	return s.db.OwnerUse(ctx, constellation.Fold(owner))
}

var repositoryUseListing = listing[constellation.SpaceUse]{
	name: "repository_usage", fallback: "-bytes",
	sorts: map[string]sortKey[constellation.SpaceUse]{
		"repository": byText(func(u *constellation.SpaceUse) string { return u.Name }),
		"bytes":      byNumber(func(u *constellation.SpaceUse) int64 { return u.Bytes }),
	},
	id: byText(func(u *constellation.SpaceUse) string { return u.Name }),
}

// ListRepositoryUsage returns a page of what repositories take; admins only.
func (s *Service) ListRepositoryUsage(ctx context.Context, p Principal, q ListQuery) (Page[constellation.SpaceUse], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading what the registry takes"); err != nil {
		return Page[constellation.SpaceUse]{}, err
	}
	list, err := repositoryUseListing.parse(q)
	if err != nil {
		return Page[constellation.SpaceUse]{}, err
	}
	rows, err := s.db.RepositoryUsePage(ctx, list)
	return repositoryUseListing.page(list, rows), err
}
