package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// UsageLimit is up to where UsageCounts counts.
const UsageLimit = postgres.UsageLimit

var usageListing = listing[constellation.Use]{
	name: "uses", fallback: "name",
	sorts: map[string]sortKey[constellation.Use]{
		"name": byText(func(u *constellation.Use) string { return constellation.Fold(u.SatelliteName) }),
	},
	id: byUUID(func(u *constellation.Use) string { return u.SatelliteID }),
}

// ListUses returns a page of the satellites whose latest version has an
// algorithm version, by name.
func (s *Service) ListUses(ctx context.Context, p Principal, ref constellation.AlgorithmRef, q ListQuery) (Page[constellation.Use], error) {
	version, err := s.GetAlgorithmVersion(ctx, p, ref)
	if err != nil {
		return Page[constellation.Use]{}, err
	}
	q.Q = "" // this list is not searched
	list, err := usageListing.parse(q, ref.String())
	if err != nil {
		return Page[constellation.Use]{}, err
	}
	rows, err := s.db.Uses(ctx, version.ID, list)
	return usageListing.page(list, rows), err
}

// UsageCounts returns under how many vanity URLs of satellites' latest versions
// each algorithm version is, by its id; UsageLimit means that many or more.
func (s *Service) UsageCounts(ctx context.Context, p Principal, versions []constellation.AlgorithmVersion) (map[string]int, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "reading where algorithms are used"); err != nil {
		return nil, err
	}
	ids := make([]string, len(versions))
	for i := range versions {
		ids[i] = versions[i].ID
	}
	return s.db.UsageCounts(ctx, ids)
}
