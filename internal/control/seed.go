package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/space"
)

// Seed fills an empty database with made-up satellites and launches, to see
// how the mothership does with many. made is told each launch's token. Their
// images are in no registry: the store, which is empty too, is marked as this
// database's before, since nothing in it would show that later.
func (s *Service) Seed(ctx context.Context, store space.MarkedStore, satellites, launches, reports int, made func(satelliteID, launchID, token string) error) error {
	if satellites < 1 || launches < 0 || reports < 0 || reports > launches || satellites > 10_000_000 || launches > 10_000_000 {
		return constellation.Errorf(constellation.KindInvalid, "seed makes 1 to 10000000 satellites, and up to as many launches, of which some have reported")
	}
	if s.options.Sealer == nil {
		return constellation.Errorf(constellation.KindInvalid, "seed fills the private database of a data dir; leave DATABASE_URL and --database-url out")
	}
	if err := space.ClaimStore(ctx, s.db, store); err != nil {
		return err
	}
	return s.db.Seed(ctx, postgres.Seed{
		Satellites: satellites, Launches: launches, Reports: reports, Now: s.now(),
		Token: func(launchID, satelliteID string) ([]byte, string, error) {
			token := auth.NewLaunchToken()
			return s.options.Sealer.Seal(tokenPlace(launchID), []byte(token)), auth.HashKey(token), made(satelliteID, launchID, token)
		},
	})
}
