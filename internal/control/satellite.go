package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewSatellite is what CreateSatellite needs; ExpiresAt nil is in a year.
type NewSatellite struct {
	Name       string
	ExpiresAt  *time.Time
	Labels     constellation.Labels // nil is none; of one that is put, those that it has
	Algorithms []AlgorithmSpec
	Schedules  []constellation.Schedule
}

// SatelliteChange is what UpdateSatellite changes; nil leaves a field alone.
type SatelliteChange struct {
	Name      *string
	ExpiresAt *time.Time
	Labels    constellation.Labels // all of them
}

var satelliteListing = listing[constellation.Satellite]{
	name: "satellites", fallback: "name",
	sorts: map[string]sortKey[constellation.Satellite]{
		"name":           byText(func(s *constellation.Satellite) string { return constellation.Fold(s.Name) }),
		"created_at":     byTime(func(s *constellation.Satellite) time.Time { return s.CreatedAt }),
		"updated_at":     byTime(func(s *constellation.Satellite) time.Time { return s.UpdatedAt }),
		"expires_at":     byTime(func(s *constellation.Satellite) time.Time { return s.ExpiresAt }),
		"latest_version": byNumber(func(s *constellation.Satellite) int64 { return int64(s.LatestVersion.Number) }),
		"launches":       byNumber(func(s *constellation.Satellite) int64 { return int64(s.LaunchCount) }),
		"up":             byNumber(func(s *constellation.Satellite) int64 { return int64(s.LaunchesUp) }),
		"degraded":       byNumber(func(s *constellation.Satellite) int64 { return int64(s.LaunchesDegraded) }),
		"stale":          byNumber(func(s *constellation.Satellite) int64 { return int64(s.LaunchesStale) }),
	},
	id: byUUID(func(s *constellation.Satellite) string { return s.ID }),
}

func satelliteTarget(s *constellation.Satellite) target { return target{"satellite", s.ID, s.Name} }

// ListSatellites returns a page of satellites with their latest versions, whose
// algorithms only a query that expands has, by
// name, created_at, updated_at, expires_at, latest_version, or how many
// launches they have: launches, up, degraded or stale. A query's Algorithm keeps
// those whose latest version has it, its Status those that have a launch with it. A key for one satellite
// lists that one.
func (s *Service) ListSatellites(ctx context.Context, p Principal, q ListQuery) (Page[constellation.Satellite], error) {
	if err := p.may(constellation.RoleViewer, "listing satellites"); err != nil {
		return Page[constellation.Satellite]{}, err
	}
	list, err := satelliteListing.parse(q)
	if err != nil {
		return Page[constellation.Satellite]{}, err
	}
	filter, err := s.running(ctx, p, q)
	if err != nil {
		return Page[constellation.Satellite]{}, err
	}
	rows, err := s.db.Satellites(ctx, p.SatelliteID, filter, list)
	page := satelliteListing.page(list, rows)
	if err != nil || !q.Expand {
		return page, err
	}
	err = fill(&page, func(rows []constellation.Satellite) error { return s.db.LoadLatestVersions(ctx, rows) },
		func(s *constellation.Satellite) int { return nested(&s.LatestVersion) })
	return page, err
}

// nested is about how many bytes the lists in a version have.
func nested(v *constellation.SatelliteVersion) int {
	n := 0
	for _, a := range v.Algorithms {
		n += len(a.VanityURL) + len(a.Algorithm.Owner) + len(a.Algorithm.Name) + len(a.Algorithm.Hash) + a.Settings.Bytes() + 100
		for _, w := range a.Weights {
			n += len(w.Path) + len(w.Artifact.Owner) + len(w.Artifact.Name) + len(w.Artifact.Hash) + 40
		}
	}
	for _, s := range v.Schedules {
		n += len(s.Name) + len(s.Cron) + len(s.TimeZone) + len(s.VanityURL) + len(s.Input) + 160
	}
	return n
}

// CreateSatellite makes a satellite with its version 1.
func (s *Service) CreateSatellite(ctx context.Context, p Principal, n NewSatellite) (*constellation.Satellite, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "creating a satellite"); err != nil {
		return nil, err
	}
	now := s.now()
	var v constellation.Validation
	constellation.CheckDisplayName(&v, "name", "a satellite", n.Name)
	constellation.CheckLabels(&v, "labels", n.Labels)
	checkExpiry(&v, n.ExpiresAt, now)
	expires := now.Add(constellation.DefaultSatelliteLifetime)
	if n.ExpiresAt != nil {
		expires = n.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	var satellite *constellation.Satellite
	err := s.transact(ctx, func(s *Service) error {
		version, versionIDs, err := s.resolve(ctx, p, v, VersionSpec{n.Algorithms, n.Schedules})
		if err != nil {
			return err
		}
		satellite = &constellation.Satellite{
			ID: uuid.NewString(), Name: n.Name, CreatedAt: now, CreatedBy: p.Username, ExpiresAt: expires,
			UpdatedAt: now, UpdatedBy: p.Username, Revision: 1,
			Labels: n.Labels, LatestVersion: version,
		}
		satellite.LatestVersion.Number, satellite.LatestVersion.CreatedAt, satellite.LatestVersion.CreatedBy = 1, now, p.Username
		if err := s.db.InsertSatellite(ctx, satellite); err != nil {
			return err
		}
		if err := s.db.InsertSatelliteVersion(ctx, satellite.ID, &satellite.LatestVersion, versionIDs); err != nil {
			return err
		}
		return s.audit(ctx, p, "satellite.create", satelliteTarget(satellite), nil, viewSatellite(satellite))
	})
	if err != nil {
		return nil, err
	}
	return satellite, nil
}

// GetSatellite returns a satellite with its latest version.
func (s *Service) GetSatellite(ctx context.Context, p Principal, id string) (*constellation.Satellite, error) {
	return s.satellite(ctx, p, constellation.RoleViewer, id, "reading a satellite")
}

// satellite authorises and finds a satellite by an id from outside.
func (s *Service) satellite(ctx context.Context, p Principal, role constellation.Role, id, doing string) (*constellation.Satellite, error) {
	if err := p.maySatellite(role, id, doing); err != nil {
		return nil, err
	}
	id, err := parseID("satellite", id)
	if err != nil {
		return nil, err
	}
	return s.db.Satellite(ctx, id)
}

// UpdateSatellite renames, renews or labels a satellite; its versions stay as
// they are. With ifMatch another revision is KindPreconditionFailed.
func (s *Service) UpdateSatellite(ctx context.Context, p Principal, id string, ifMatch *int64, c SatelliteChange) (*constellation.Satellite, error) {
	var satellite *constellation.Satellite
	err := s.editSatellite(ctx, p, id, ifMatch, "changing a satellite", func(s *Service, current *constellation.Satellite) error {
		satellite = current
		before := *current
		var v constellation.Validation
		if c.Name != nil {
			constellation.CheckDisplayName(&v, "name", "a satellite", *c.Name)
			satellite.Name = *c.Name
		}
		if c.ExpiresAt != nil {
			expires := c.ExpiresAt.UTC().Truncate(time.Microsecond)
			if !expires.Equal(before.ExpiresAt) { // sending back what was read is no change
				checkExpiry(&v, &expires, s.now())
			}
			satellite.ExpiresAt = expires
		}
		if c.Labels != nil {
			constellation.CheckLabels(&v, "labels", c.Labels)
			satellite.Labels = c.Labels
		}
		if err := v.Err(); err != nil {
			return err
		}
		if satellite.Name == before.Name && satellite.ExpiresAt.Equal(before.ExpiresAt) && satellite.Labels.Equal(before.Labels) {
			return nil
		}
		s.touch(satellite, p)
		if err := s.db.UpdateSatellite(ctx, satellite); err != nil {
			return err
		}
		return s.audit(ctx, p, "satellite.update", satelliteTarget(satellite), viewSatellite(&before), viewSatellite(satellite))
	})
	if err != nil {
		return nil, err
	}
	return satellite, nil
}

// touch notes that p changes the satellite now.
func (s *Service) touch(satellite *constellation.Satellite, p Principal) {
	satellite.UpdatedAt, satellite.UpdatedBy = s.now(), p.Username
	satellite.Revision++
}

// editSatellite runs edit in a transaction that holds the satellite, after
// the checks that every change of one needs.
func (s *Service) editSatellite(ctx context.Context, p Principal, id string, ifMatch *int64, doing string, edit func(*Service, *constellation.Satellite) error) error {
	if err := p.maySatellite(constellation.RoleAdmin, id, doing); err != nil {
		return err
	}
	id, err := parseID("satellite", id)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.LockSatellite(ctx, id); err != nil {
			return err
		}
		satellite, err := s.db.Satellite(ctx, id)
		if err != nil {
			return err
		}
		if err := checkRevision("satellite "+satellite.Name, ifMatch, satellite.Revision, satellite.UpdatedBy, satellite.UpdatedAt); err != nil {
			return err
		}
		return edit(s, satellite)
	})
}

// checkRevision refuses a change that was made from another revision than the
// one there is.
func checkRevision(what string, ifMatch *int64, revision int64, by string, at time.Time) error {
	if ifMatch == nil || *ifMatch == revision {
		return nil
	}
	if *ifMatch == 0 {
		return constellation.Errorf(constellation.KindPreconditionFailed, "If-Match is no ETag of %s; read it again and send the one that it has", what)
	}
	return constellation.Errorf(constellation.KindPreconditionFailed,
		"%s was changed by %s on %s (it is at revision %d, not %d); read it again and repeat your change",
		what, by, at.UTC().Format("2006-01-02 at 15:04:05 UTC"), revision, *ifMatch)
}

// DeleteSatellite removes a satellite with its versions, keys and launches.
// What runs already keeps serving.
func (s *Service) DeleteSatellite(ctx context.Context, p Principal, id string, ifMatch *int64) error {
	return s.editSatellite(ctx, p, id, ifMatch, "deleting a satellite", func(s *Service, satellite *constellation.Satellite) error {
		if err := s.db.DeleteSatellite(ctx, satellite.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "satellite.delete", satelliteTarget(satellite), viewSatellite(satellite), nil)
	})
}
