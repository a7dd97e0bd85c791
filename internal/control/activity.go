package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SatelliteActivity gives what happened to a satellite, its launches and its
// keys, newest first: limit rows before the row beforeID, 0 for the newest;
// launchID not "" is what happened to that launch. Who may read the satellite
// may read this; addresses are for admins.
func (s *Service) SatelliteActivity(ctx context.Context, p Principal, id, launchID string, beforeID int64, limit int) ([]constellation.Event, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite's activity")
	if err != nil {
		return nil, err
	}
	rows, err := s.db.SatelliteEvents(ctx, satellite.ID, launchID, beforeID, min(limit, maxLimit))
	if err != nil {
		return nil, err
	}
	if p.Role != constellation.RoleAdmin {
		for i := range rows {
			rows[i].Address, rows[i].ActorKeyID = "", ""
		}
	}
	return rows, nil
}

// SatelliteRemoval gives the audit row of a satellite's removal, nil when
// there is none.
func (s *Service) SatelliteRemoval(ctx context.Context, p Principal, id string) (*constellation.Event, error) {
	if err := p.maySatellite(constellation.RoleViewer, id, "reading a satellite's activity"); err != nil {
		return nil, err
	}
	id, err := parseID("satellite", id)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.SatelliteEvents(ctx, id, id, 0, 1)
	if err != nil || len(rows) == 0 || rows[0].Action != "satellite.delete" {
		return nil, err
	}
	return &rows[0], nil
}

// SatelliteImages gives the versions of a satellite's algorithms, in order.
func (s *Service) SatelliteImages(ctx context.Context, p Principal, algorithms []constellation.SatelliteAlgorithm) ([]*constellation.AlgorithmVersion, error) {
	if err := p.may(constellation.RoleViewer, "reading a satellite"); err != nil {
		return nil, err
	}
	refs := make([]constellation.AlgorithmRef, len(algorithms))
	for i, a := range algorithms {
		refs[i] = a.Algorithm
	}
	rows, err := s.db.AlgorithmVersionsByRef(ctx, refs)
	if err != nil {
		return nil, err
	}
	type key struct{ repository, hash string }
	known := make(map[key]*constellation.AlgorithmVersion, len(rows))
	for i := range rows {
		known[key{rows[i].Image.Repository, rows[i].GitHash}] = &rows[i]
	}
	found := make([]*constellation.AlgorithmVersion, len(refs))
	for i, ref := range refs {
		found[i] = known[key{ref.Repository(), ref.Hash}]
	}
	return found, nil
}
