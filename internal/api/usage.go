package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

type usageOutput struct{ Body apiv1.SystemUsage }

func (s *server) getUsage(ctx context.Context, _ *struct{}) (*usageOutput, error) {
	c := callOf(ctx)
	usage, err := c.control.Usage(ctx, c.principal, control.UsageShown)
	if err != nil {
		return nil, err
	}
	wire := apiv1.SystemUsage{
		Bytes: usage.Total.Bytes, Blobs: usage.Total.Blobs, CountedAt: utc(usage.CountedAt),
		Owners: []apiv1.OwnerUsage{}, Repositories: wireUses(usage.Repositories), Collections: []apiv1.Collection{},
		Garbage: apiv1.Garbage{Repositories: []apiv1.RepositoryUsage{}},
	}
	for i := range usage.Owners {
		wire.Owners = append(wire.Owners, wireOwnerUse(&usage.Owners[i]))
	}
	wire.MoreOwners, wire.MoreRepositories = usage.MoreOwners, usage.MoreRepositories
	if g := usage.Garbage; g != nil {
		wire.Garbage = apiv1.Garbage{Bytes: g.Bytes, Blobs: g.Blobs, Repositories: wireUses(g.Largest), MoreRepositories: g.Repositories > int64(len(g.Largest)), FoundAt: utc(&g.FoundAt)}
	}
	for _, c := range usage.Collections {
		wire.Collections = append(wire.Collections, apiv1.Collection{
			StartedAt: c.StartedAt.UTC(), StartedBy: c.StartedBy, FinishedAt: utc(c.FinishedAt),
			Manifests: c.Manifests, Blobs: c.Blobs, Bytes: c.Bytes, Error: c.Error,
		})
	}
	return &usageOutput{wire}, nil
}

func (s *server) listOwnerUsage(ctx context.Context, in *ListInput) (*listOutput[apiv1.OwnerUsage], error) {
	c := callOf(ctx)
	page, err := c.control.ListOwnerUsage(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireOwnerUse)
}

func wireOwnerUse(o *constellation.OwnerUse) apiv1.OwnerUsage {
	return apiv1.OwnerUsage{Owner: o.Name, Bytes: o.Bytes, Blobs: o.Blobs, QuotaBytes: o.Quota}
}

func (s *server) listRepositoryUsage(ctx context.Context, in *ListInput) (*listOutput[apiv1.RepositoryUsage], error) {
	c := callOf(ctx)
	page, err := c.control.ListRepositoryUsage(ctx, c.principal, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, func(u *constellation.SpaceUse) apiv1.RepositoryUsage {
		return apiv1.RepositoryUsage{Repository: u.Name, Bytes: u.Bytes, Blobs: u.Blobs}
	})
}

func wireUses(uses []constellation.SpaceUse) []apiv1.RepositoryUsage {
	wire := []apiv1.RepositoryUsage{}
	for _, u := range uses {
		wire = append(wire, apiv1.RepositoryUsage{Repository: u.Name, Bytes: u.Bytes, Blobs: u.Blobs})
	}
	return wire
}

type collectionRequestedOutput struct{ Body apiv1.CollectionRequested }

func (s *server) startCollection(ctx context.Context, _ *struct{}) (*collectionRequestedOutput, error) {
	c := callOf(ctx)
	if err := c.control.StartCollection(ctx, c.principal); err != nil {
		return nil, err
	}
	return &collectionRequestedOutput{apiv1.CollectionRequested{RequestedBy: c.principal.Username}}, nil
}
