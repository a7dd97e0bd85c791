package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Put says what PutSatellite or PutLaunch did.
type Put string

// What a put does.
const (
	PutCreated   Put = "created"
	PutUpdated   Put = "updated"
	PutUnchanged Put = "unchanged"
)

// PutCondition is what a put depends on: IfMatch is as in UpdateSatellite, Exists
// wants that there is something by the name, and New that there is nothing.
type PutCondition struct {
	IfMatch     *int64
	Exists, New bool
}

// check refuses a put for what there is by the name, if anything.
func (c PutCondition) check(what, name string, exists bool) error {
	switch {
	case exists && c.New:
		return constellation.Errorf(constellation.KindPreconditionFailed, "there is a %s %q already, and If-None-Match wants that there is none", what, clean(name, 200))
	case !exists && (c.Exists || c.IfMatch != nil):
		return constellation.Errorf(constellation.KindPreconditionFailed, "there is no %s %q, and If-Match wants that there is; leave it out to make one", what, clean(name, 200))
	}
	return nil
}

// put runs do in a transaction, and once more where somebody who did not put took
// the name in between: then it is there.
func (s *Service) put(ctx context.Context, do func(*Service) error) error {
	err := s.transact(ctx, do)
	if constellation.KindOf(err) == constellation.KindConflict {
		err = s.transact(ctx, do)
	}
	return err
}

// PutSatellite makes the satellite of a name, or makes the one that there is what
// it would be if it were made now: what n leaves out is the default and not what was
// there, but for the expiry and the labels. The same again changes nothing.
func (s *Service) PutSatellite(ctx context.Context, p Principal, c PutCondition, n NewSatellite) (*constellation.Satellite, Put, error) {
	if err := p.may(constellation.RoleAdmin, "putting a satellite"); err != nil {
		return nil, "", err
	}
	var satellite *constellation.Satellite
	var did Put
	err := s.put(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, "satellite_name/"+constellation.Fold(n.Name)); err != nil {
			return err
		}
		id, err := s.db.SatelliteByName(ctx, constellation.Fold(n.Name))
		if err != nil {
			return err
		}
		if id == "" || p.SatelliteID != "" && p.SatelliteID != id { // who may make none does not hear which there are
			if err := p.mayEverywhere(constellation.RoleAdmin, "putting another satellite"); err != nil {
				return err
			}
		}
		if err := c.check("satellite", n.Name, id != ""); err != nil {
			return err
		}
		if did = PutCreated; id == "" {
			satellite, err = s.CreateSatellite(ctx, p, n)
			return err
		}
		satellite, did, err = s.replaceSatellite(ctx, p, id, c.IfMatch, n)
		return err
	})
	return satellite, did, err
}

// replaceSatellite makes a satellite what n says.
func (s *Service) replaceSatellite(ctx context.Context, p Principal, id string, ifMatch *int64, n NewSatellite) (*constellation.Satellite, Put, error) {
	var revision int64
	err := s.editSatellite(ctx, p, id, ifMatch, "putting a satellite", func(s *Service, satellite *constellation.Satellite) error {
		revision = satellite.Revision
		next, ids, err := s.resolve(ctx, p, constellation.Validation{}, VersionSpec{n.Algorithms, n.Schedules})
		if err != nil {
			return err
		}
		difference := constellation.DiffVersions(&satellite.LatestVersion, &next)
		if difference.Count() > 0 {
			err = s.insertNext(ctx, p, satellite, next, ids)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	satellite, err := s.UpdateSatellite(ctx, p, id, nil, SatelliteChange{Name: &n.Name, ExpiresAt: n.ExpiresAt, Labels: n.Labels})
	if err != nil {
		return nil, "", err
	}
	return satellite, putOf(revision, satellite.Revision), nil
}

func putOf(before, after int64) Put {
	if before == after {
		return PutUnchanged
	}
	return PutUpdated
}

// PutLaunch makes the launch of a name, or makes the one that there is what it would
// be if it were made now: of the latest version, where n leaves that out, with the
// labels that it has, where n has none. The same
// again changes nothing.
func (s *Service) PutLaunch(ctx context.Context, p Principal, satelliteID string, c PutCondition, n NewLaunch) (*constellation.Launch, Put, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleOperator, satelliteID, "putting a launch")
	if err != nil {
		return nil, "", err
	}
	var launch *constellation.Launch
	var did Put
	err = s.put(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, "launch_name/"+satellite.ID+"/"+constellation.Fold(n.Name)); err != nil {
			return err
		}
		id, err := s.db.LaunchByName(ctx, satellite.ID, constellation.Fold(n.Name))
		if err != nil {
			return err
		}
		if err := c.check("launch", n.Name, id != ""); err != nil {
			return err
		}
		if did = PutCreated; id == "" {
			launch, err = s.CreateLaunch(ctx, p, satellite.ID, n)
			return err
		}
		before, err := s.launch(ctx, p, satellite.ID, id)
		if err != nil {
			return err
		}
		if n.SatelliteVersion == 0 {
			n.SatelliteVersion = satellite.LatestVersion.Number
		}
		launch, err = s.UpdateLaunch(ctx, p, satellite.ID, id, c.IfMatch, LaunchChange{&n.SatelliteVersion, &n.Name, &n.Description, n.Labels})
		if err == nil {
			did = putOf(before.Revision, launch.Revision)
		}
		return err
	})
	return launch, did, err
}
