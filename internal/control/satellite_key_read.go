package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// GetSatelliteKey returns one key that may call a satellite's algorithms.
func (s *Service) GetSatelliteKey(ctx context.Context, p Principal, id, keyID string) (*constellation.SatelliteKey, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite's key")
	if err != nil {
		return nil, err
	}
	if keyID, err = parseID("key", keyID); err != nil {
		return nil, err
	}
	return s.db.SatelliteKey(ctx, satellite.ID, keyID)
}
