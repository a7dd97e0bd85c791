package control

import (
	"context"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// MaxSatelliteVersionUsers is how many launches SatelliteVersionUsers returns at most.
const MaxSatelliteVersionUsers = 50

// SatelliteVersionUsers returns up to MaxSatelliteVersionUsers launches that are to have
// a satellite's version, or run it: while there is one, it is not removed.
func (s *Service) SatelliteVersionUsers(ctx context.Context, p Principal, id string, number int) ([]constellation.SatelliteVersionUser, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite version")
	if err != nil {
		return nil, err
	}
	return s.db.SatelliteVersionUsers(ctx, satellite.ID, number, MaxSatelliteVersionUsers)
}

// SatelliteVersionBefore returns the number of the newest version of a satellite below
// another, 0 when there is none: those in between may have been removed.
func (s *Service) SatelliteVersionBefore(ctx context.Context, p Principal, id string, number int) (int, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite version")
	if err != nil {
		return 0, err
	}
	return s.db.SatelliteVersionBefore(ctx, satellite.ID, number)
}

// removedVersionView is what the audit log keeps of a satellite's removed version.
type removedVersionView struct {
	Name       string          `json:"name"`
	Version    int             `json:"version"`
	Algorithms []algorithmView `json:"algorithms"`
	Schedules  []scheduleView  `json:"schedules,omitempty"`
}

// DeleteSatelliteVersion removes a version of a satellite that is not the latest and
// that no launch has or runs. Its number is not given again, and the versions of
// algorithms that it alone had can be removed then.
func (s *Service) DeleteSatelliteVersion(ctx context.Context, p Principal, id string, number int) error {
	return s.editSatellite(ctx, p, id, nil, "removing a satellite version", func(s *Service, satellite *constellation.Satellite) error {
		version, err := s.satelliteVersion(ctx, satellite, number)
		if err != nil {
			return err
		}
		if number == satellite.LatestVersion.Number {
			return constellation.Errorf(constellation.KindConflict, "version %d is the latest of satellite %s, which begins its next one; make another version first, or remove the satellite", number, satellite.Name)
		}
		// Before anybody is looked for who uses it: a launch that gets it in this
		// moment is waited for.
		if _, err := s.db.SeizeSatelliteVersion(ctx, satellite.ID, number); err != nil {
			return err
		}
		users, err := s.db.SatelliteVersionUsers(ctx, satellite.ID, number, usersTold+1)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return refuseVersionRemoval(satellite, number, users)
		}
		if err := s.db.DeleteSatelliteVersion(ctx, satellite.ID, number); err != nil {
			return err
		}
		view := removedVersionView{Name: satellite.Name, Version: number, Algorithms: []algorithmView{}}
		for _, a := range version.Algorithms {
			view.Algorithms = append(view.Algorithms, viewAlgorithm(a))
		}
		for _, schedule := range version.Schedules {
			view.Schedules = append(view.Schedules, viewSchedule(schedule))
		}
		return s.audit(ctx, p, "satellite_version.delete", satelliteTarget(satellite), view, nil)
	})
}

// refuseVersionRemoval returns why a satellite's version is not removed that launches
// use.
func refuseVersionRemoval(satellite *constellation.Satellite, number int, users []constellation.SatelliteVersionUser) error {
	more := ""
	if len(users) > usersTold {
		users, more = users[:usersTold], " and others"
	}
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = user.LaunchName
		if user.RunsItStill {
			names[i] += " (which runs it still)"
		}
	}
	return constellation.Errorf(constellation.KindConflict, "version %d of satellite %s is that of launches: %s%s; give them another version and deploy it, or remove them, and this one can be removed",
		number, satellite.Name, strings.Join(names, ", "), more)
}
