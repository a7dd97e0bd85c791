package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

var activityListing = listing[constellation.Event]{
	name: "activity", fallback: "-id",
	sorts: map[string]sortKey[constellation.Event]{"id": byNumber(func(e *constellation.Event) int64 { return e.ID })},
	id:    byNumber(func(e *constellation.Event) int64 { return e.ID }),
}

// SatelliteActivity returns a page of what happened to a satellite, its launches
// and its keys, newest first; launchID not "" is what happened to that launch.
// Who may read the satellite may read this; addresses are for admins.
func (s *Service) SatelliteActivity(ctx context.Context, p Principal, id, launchID string, q ListQuery) (Page[constellation.Event], error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite's activity")
	if err != nil {
		return Page[constellation.Event]{}, err
	}
	list, err := activityListing.parse(q, id, launchID)
	if err != nil {
		return Page[constellation.Event]{}, err
	}
	rows, err := s.db.SatelliteEvents(ctx, satellite.ID, launchID, list)
	if err != nil {
		return Page[constellation.Event]{}, err
	}
	if p.Role != constellation.RoleAdmin {
		for i := range rows {
			rows[i].Address, rows[i].ActorKeyID = "", ""
		}
	}
	return activityListing.page(list, rows), nil
}

// SatelliteRemoval returns the audit row of a satellite's removal, nil when
// there is none.
func (s *Service) SatelliteRemoval(ctx context.Context, p Principal, id string) (*constellation.Event, error) {
	if err := p.maySatellite(constellation.RoleViewer, id, "reading a satellite's activity"); err != nil {
		return nil, err
	}
	id, err := parseID("satellite", id)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.SatelliteEvents(ctx, id, id, postgres.List{Desc: true, Limit: 1})
	if err != nil || len(rows) == 0 || rows[0].Action != "satellite.delete" {
		return nil, err
	}
	return &rows[0], nil
}

// SatelliteImages returns the versions of a satellite's algorithms, in order.
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
