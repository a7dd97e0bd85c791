package control

import (
	"context"
	"strings"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// findLimit is how many of each kind Find returns.
const findLimit = 5

// Found is what Find finds, the first few of each kind by name.
type Found struct {
	Satellites []postgres.FoundSatellite
	Launches   []postgres.FoundLaunch
	Algorithms []constellation.Algorithm
}

// Find looks for satellites, launches and algorithms by a part of their name,
// or by a whole ID. Of fewer than three characters only the start of names is
// looked at. "" finds nothing.
func (s *Service) Find(ctx context.Context, p Principal, text string) (Found, error) {
	if err := p.mayEverywhere(constellation.RoleViewer, "searching"); err != nil {
		return Found{}, err
	}
	var found Found
	q := constellation.Fold(strings.TrimSpace(clean(text, MaxQuery)))
	if q == "" {
		return found, nil
	}
	var err error
	if id, parseErr := uuid.Parse(q); parseErr == nil && len(q) == 36 {
		found.Satellites, found.Launches, err = s.db.FindByID(ctx, id.String())
		return found, err
	}
	if found.Satellites, err = s.db.FindSatellites(ctx, q, findLimit); err != nil {
		return Found{}, err
	}
	if found.Launches, err = s.db.FindLaunches(ctx, q, findLimit); err != nil {
		return Found{}, err
	}
	found.Algorithms, err = s.db.Algorithms(ctx, postgres.List{Q: q, Sort: "name", Limit: findLimit})
	return found, err
}
