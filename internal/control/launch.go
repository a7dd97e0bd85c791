package control

import (
	"context"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewLaunch is what CreateLaunch needs; SatelliteVersion 0 is the latest.
type NewLaunch struct {
	SatelliteVersion  int
	Name, Description string
	Labels            constellation.Labels // nil is none; of one that is put, those that it has
}

// LaunchChange is what UpdateLaunch changes; nil leaves a field alone.
type LaunchChange struct {
	SatelliteVersion  *int
	Name, Description *string
	Labels            constellation.Labels // all of them
}

const maxDescription = 2000 // characters

var launchListing = listing[constellation.Launch]{
	name: "launches", fallback: "name",
	sorts: map[string]sortKey[constellation.Launch]{
		"name":              byText(func(l *constellation.Launch) string { return constellation.Fold(l.Name) }),
		"created_at":        byTime(func(l *constellation.Launch) time.Time { return l.CreatedAt }),
		"satellite_version": byNumber(func(l *constellation.Launch) int64 { return int64(l.SatelliteVersion) }),
		"last_seen_at":      byLastTime(func(l *constellation.Launch) *time.Time { return l.LastSeenAt }),
	},
	id: byUUID(func(l *constellation.Launch) string { return l.ID }),
}

func launchTarget(l *constellation.Launch) target { return target{"launch", l.ID, l.Name} }

// tokenPlace binds a launch's sealed token to its row.
func tokenPlace(launchID string) string { return "launches/" + launchID + "/token" }

// ListLaunches returns a page of a satellite's launches, by name, created_at,
// satellite_version or last_seen_at. A query's Algorithm keeps those whose
// version has it, its Status those with that status.
func (s *Service) ListLaunches(ctx context.Context, p Principal, satelliteID string, q ListQuery) (Page[constellation.Launch], error) {
	list, err := launchListing.parse(q, satelliteID)
	if err != nil {
		return Page[constellation.Launch]{}, err
	}
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, satelliteID, "listing launches")
	if err != nil {
		return Page[constellation.Launch]{}, err
	}
	filter, err := s.running(ctx, p, q)
	if err != nil {
		return Page[constellation.Launch]{}, err
	}
	rows, err := s.db.Launches(ctx, satellite.ID, filter, list)
	s.updateStatuses(rows)
	return launchListing.page(list, rows), err
}

// CreateLaunch makes a launch of one version of a satellite, with a token of
// its own.
func (s *Service) CreateLaunch(ctx context.Context, p Principal, satelliteID string, n NewLaunch) (*constellation.Launch, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleOperator, satelliteID, "creating a launch")
	if err != nil {
		return nil, err
	}
	now := s.now()
	launch := &constellation.Launch{
		ID: uuid.NewString(), SatelliteID: satellite.ID, SatelliteVersion: n.SatelliteVersion, Name: n.Name,
		Description: n.Description, Labels: n.Labels, CreatedAt: now, CreatedBy: p.Username, UpdatedAt: now, UpdatedBy: p.Username, Revision: 1,
	}
	if launch.SatelliteVersion == 0 {
		launch.SatelliteVersion = satellite.LatestVersion.Number
	}
	if err := s.checkLaunch(ctx, satellite, launch); err != nil {
		return nil, err
	}
	launch.UpdateStatus(now, now)
	token := auth.NewLaunchToken()
	sealed := s.options.Sealer.Seal(tokenPlace(launch.ID), []byte(token))
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.InsertLaunch(ctx, launch, sealed, auth.HashKey(token)); err != nil {
			return err
		}
		return s.audit(ctx, p, "launch.create", launchTarget(launch), nil, viewLaunch(launch))
	})
	if err != nil {
		return nil, err
	}
	return launch, nil
}

func (s *Service) checkLaunch(ctx context.Context, satellite *constellation.Satellite, l *constellation.Launch) error {
	var v constellation.Validation
	constellation.CheckDisplayName(&v, "name", "a launch", l.Name)
	constellation.CheckLabels(&v, "labels", l.Labels)
	if utf8.RuneCountInString(l.Description) > maxDescription || !validText(l.Description) {
		v.Add("description", "a description has at most %d characters, in UTF-8", maxDescription)
	}
	message := noSatelliteVersion(satellite, l.SatelliteVersion)
	if message == "" && l.SatelliteVersion != satellite.LatestVersion.Number {
		if at, err := s.db.SatelliteVersionBefore(ctx, satellite.ID, l.SatelliteVersion+1); err != nil {
			return err
		} else if at != l.SatelliteVersion {
			message = removedVersion(satellite, l.SatelliteVersion)
		}
	}
	if message != "" {
		v.Add("satellite_version", "%s", message)
	}
	return v.Err()
}

// GetLaunch returns a launch of a satellite.
func (s *Service) GetLaunch(ctx context.Context, p Principal, satelliteID, launchID string) (*constellation.Launch, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, satelliteID, "reading a launch")
	if err != nil {
		return nil, err
	}
	return s.launch(ctx, p, satellite.ID, launchID)
}

// launch finds a launch of a satellite by an id from outside.
func (s *Service) launch(ctx context.Context, p Principal, satelliteID, launchID string) (*constellation.Launch, error) {
	launchID, err := parseID("launch", launchID)
	if err != nil {
		return nil, err
	}
	launch, err := s.db.Launch(ctx, launchID)
	if err != nil {
		return nil, err
	}
	switch {
	case launch.SatelliteID == satelliteID:
	case p.SatelliteID != "": // which does not hear of what others have
		return nil, constellation.Errorf(constellation.KindNotFound, "there is no launch %s", launchID)
	default:
		return nil, constellation.Errorf(constellation.KindNotFound, "launch %s is of another satellite, not of %s", launchID, satelliteID)
	}
	launch.UpdateStatus(s.now(), s.watchingFor())
	return launch, nil
}

// UpdateLaunch changes a launch's version, name, description or labels; what runs
// follows at its next deploy. With ifMatch another revision is
// KindPreconditionFailed.
func (s *Service) UpdateLaunch(ctx context.Context, p Principal, satelliteID, launchID string, ifMatch *int64, c LaunchChange) (*constellation.Launch, error) {
	var changed *constellation.Launch
	err := s.editLaunch(ctx, p, satelliteID, launchID, ifMatch, "changing a launch", func(s *Service, satellite *constellation.Satellite, launch *constellation.Launch) error {
		changed = launch
		before := *launch
		if c.SatelliteVersion != nil {
			launch.SatelliteVersion = *c.SatelliteVersion
		}
		if c.Name != nil {
			launch.Name = *c.Name
		}
		if c.Description != nil {
			launch.Description = *c.Description
		}
		if c.Labels != nil {
			launch.Labels = c.Labels
		}
		if err := s.checkLaunch(ctx, satellite, launch); err != nil {
			return err
		}
		if launch.SatelliteVersion == before.SatelliteVersion && launch.Name == before.Name && launch.Description == before.Description && launch.Labels.Equal(before.Labels) {
			return nil
		}
		launch.UpdatedAt, launch.UpdatedBy = s.now(), p.Username
		launch.Revision++
		if err := s.db.UpdateLaunch(ctx, launch); err != nil {
			return err
		}
		return s.audit(ctx, p, "launch.update", launchTarget(launch), viewLaunch(&before), viewLaunch(launch))
	})
	if err != nil {
		return nil, err
	}
	return changed, nil
}

// DeleteLaunch removes a launch; what it deployed keeps serving. With ifMatch
// another revision is KindPreconditionFailed.
func (s *Service) DeleteLaunch(ctx context.Context, p Principal, satelliteID, launchID string, ifMatch *int64) error {
	return s.editLaunch(ctx, p, satelliteID, launchID, ifMatch, "deleting a launch", func(s *Service, _ *constellation.Satellite, launch *constellation.Launch) error {
		if err := s.db.DeleteLaunch(ctx, launch.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "launch.delete", launchTarget(launch), viewLaunch(launch), nil)
	})
}

// editLaunch runs edit in a transaction that holds the launch, at the revision
// of ifMatch when that is given.
func (s *Service) editLaunch(ctx context.Context, p Principal, satelliteID, launchID string, ifMatch *int64, doing string, edit func(*Service, *constellation.Satellite, *constellation.Launch) error) error {
	satellite, err := s.satellite(ctx, p, constellation.RoleOperator, satelliteID, doing)
	if err != nil {
		return err
	}
	if _, err := s.launch(ctx, p, satellite.ID, launchID); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.LockLaunch(ctx, launchID); err != nil {
			return err
		}
		launch, err := s.launch(ctx, p, satellite.ID, launchID)
		if err != nil {
			return err
		}
		if err := checkRevision("launch "+launch.Name, ifMatch, launch.Revision, launch.UpdatedBy, launch.UpdatedAt); err != nil {
			return err
		}
		return edit(s, satellite, launch)
	})
}
