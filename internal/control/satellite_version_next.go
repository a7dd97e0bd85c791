package control

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// NextVersion is what came of asking for a satellite's next version: Version,
// which is the latest one as it was where Created is false, and the satellite's
// revision.
type NextVersion struct {
	Version  *constellation.SatelliteVersion
	Revision int64
	Created  bool
}

const changingAlgorithms = "changing a satellite's algorithms"

// CreateSatelliteVersion makes the satellite's next version and returns the
// satellite's new revision. With ifMatch another revision than that is
// KindPreconditionFailed.
func (s *Service) CreateSatelliteVersion(ctx context.Context, p Principal, id string, ifMatch *int64, spec VersionSpec) (v *constellation.SatelliteVersion, revision int64, err error) {
	err = s.editSatellite(ctx, p, id, ifMatch, changingAlgorithms, func(s *Service, satellite *constellation.Satellite) error {
		next, ids, err := s.next(ctx, p, satellite, spec)
		if err != nil {
			return err
		}
		err = s.insertNext(ctx, p, satellite, next, ids)
		v, revision = &satellite.LatestVersion, satellite.Revision
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return v, revision, nil
}

// EnsureSatelliteVersion makes the satellite's next version unless the latest one
// has the content of spec already, whatever its order. ifMatch is as in
// CreateSatelliteVersion.
func (s *Service) EnsureSatelliteVersion(ctx context.Context, p Principal, id string, ifMatch *int64, spec VersionSpec) (NextVersion, error) {
	var made NextVersion
	err := s.editSatellite(ctx, p, id, ifMatch, changingAlgorithms, func(s *Service, satellite *constellation.Satellite) (err error) {
		made, err = s.ensureNext(ctx, p, satellite, spec)
		return err
	})
	return made, err
}

// AlgorithmPatch changes one algorithm of a satellite's latest version. VanityURL
// says which; "" is where the algorithm's OWNER/NAME is. What is "", 0 or nil of
// the others stays, but for RuntimeRevision beside an Algorithm, where 0 is the
// newest.
type AlgorithmPatch struct {
	Algorithm, VanityURL               string
	Replicas, MinReplicas, MaxReplicas *int
	Settings                           constellation.PodSettings
	Weights                            []WeightsSpec
	RuntimeRevision                    int
}

// PatchSatelliteVersion makes the satellite's next version out of the latest one,
// with one algorithm changed and all else as it is, unless that changes nothing.
// base not 0 is the version that the patch was made for: it is KindConflict when
// another one is the latest. ifMatch is as in CreateSatelliteVersion.
func (s *Service) PatchSatelliteVersion(ctx context.Context, p Principal, id string, ifMatch *int64, base int, patch AlgorithmPatch) (NextVersion, error) {
	var made NextVersion
	err := s.editSatellite(ctx, p, id, ifMatch, changingAlgorithms, func(s *Service, satellite *constellation.Satellite) error {
		if latest := satellite.LatestVersion; base != 0 && base != latest.Number {
			return constellation.Errorf(constellation.KindConflict, "the latest version of satellite %s is %d, by %s, and not %d; look at what it changed and repeat your change", satellite.Name, latest.Number, latest.CreatedBy, base)
		}
		place, err := patch.place(satellite)
		if err != nil {
			return err
		}
		spec := SpecOf(&satellite.LatestVersion)
		patch.apply(&spec.Algorithms[place])
		made, err = s.ensureNext(ctx, p, satellite, spec)
		return fieldsOf(err, fmt.Sprintf("algorithms[%d].", place))
	})
	return made, err
}

// place returns which algorithm of the satellite's latest version is meant.
func (a AlgorithmPatch) place(satellite *constellation.Satellite) (int, error) {
	var v constellation.Validation
	if a.Algorithm == "" && a.VanityURL == "" {
		v.Add("algorithm", "give the algorithm that is to run from now on, or the vanity_url whose settings change")
		return 0, v.Err()
	}
	var ref constellation.AlgorithmRef
	if a.Algorithm != "" {
		if ref = checkRef(&v, "algorithm", a.Algorithm); v.Err() != nil {
			return 0, v.Err()
		}
	}
	latest := satellite.LatestVersion
	var places []int
	var found []string
	for i, had := range latest.Algorithms {
		switch {
		case a.VanityURL == had.VanityURL:
			return i, nil
		case a.VanityURL == "" && had.Algorithm.Repository() == ref.Repository():
			places, found = append(places, i), append(found, had.VanityURL)
		}
	}
	switch {
	case a.VanityURL != "":
		v.Add("vanity_url", "version %d of satellite %s has no vanity URL %q; POST …/versions makes a version with other ones", latest.Number, satellite.Name, clean(a.VanityURL, 200))
	case len(places) == 0:
		v.Add("algorithm", "version %d of satellite %s has no algorithm %s/%s; give the vanity_url of the one that it replaces", latest.Number, satellite.Name, ref.Owner, ref.Name)
	case len(places) > 1:
		v.Add("vanity_url", "version %d of satellite %s has %s/%s at %s; give the one that is to change", latest.Number, satellite.Name, ref.Owner, ref.Name, someOf(found))
	default:
		return places[0], nil
	}
	return 0, v.Err()
}

// someOf names the first of many.
func someOf(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (a AlgorithmPatch) apply(spec *AlgorithmSpec) {
	if a.Algorithm != "" {
		spec.Algorithm, spec.RuntimeRevision = a.Algorithm, 0
	}
	if a.RuntimeRevision != 0 {
		spec.RuntimeRevision = a.RuntimeRevision
	}
	if a.Replicas != nil {
		spec.Replicas = *a.Replicas
	}
	if a.MaxReplicas != nil {
		spec.MaxReplicas = *a.MaxReplicas
		if spec.MaxReplicas == 0 { // they no longer follow the load
			spec.MinReplicas = nil
		}
	}
	if a.MinReplicas != nil {
		spec.MinReplicas = a.MinReplicas
	}
	if a.Settings.Env != nil {
		spec.Settings.Env = a.Settings.Env
	}
	if a.Settings.EnvFrom != nil {
		spec.Settings.EnvFrom = a.Settings.EnvFrom
	}
	if a.Settings.Volumes != nil {
		spec.Settings.Volumes = a.Settings.Volumes
	}
	if a.Weights != nil {
		spec.Weights = a.Weights
	}
}

// fieldsOf takes a prefix off the fields of an error, so that they are those of a
// patch.
func fieldsOf(err error, prefix string) error {
	var e *constellation.Error
	if errors.As(err, &e) {
		for i := range e.Fields {
			e.Fields[i].Field = strings.TrimPrefix(e.Fields[i].Field, prefix)
		}
	}
	return err
}

// SpecOf returns a version as an editor writes it who leaves nothing out.
func SpecOf(v *constellation.SatelliteVersion) VersionSpec {
	spec := VersionSpec{Algorithms: make([]AlgorithmSpec, len(v.Algorithms)), Schedules: append([]constellation.Schedule{}, v.Schedules...)}
	for i, a := range v.Algorithms {
		spec.Algorithms[i] = AlgorithmSpec{
			Algorithm: a.Algorithm.String(), VanityURL: a.VanityURL, Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
			Settings: a.Settings.Whole(), Weights: SpecWeights(a.Weights), RuntimeRevision: a.RuntimeRevision,
		}
	}
	return spec
}

// ensureNext makes the next version of a satellite that is held, unless the latest
// one has the content already.
func (s *Service) ensureNext(ctx context.Context, p Principal, satellite *constellation.Satellite, spec VersionSpec) (NextVersion, error) {
	next, ids, err := s.next(ctx, p, satellite, spec)
	if err != nil {
		return NextVersion{}, err
	}
	difference := constellation.DiffVersions(&satellite.LatestVersion, &next)
	created := difference.Count() > 0
	if created {
		err = s.insertNext(ctx, p, satellite, next, ids)
	}
	return NextVersion{&satellite.LatestVersion, satellite.Revision, created}, err
}

// next returns the content of a satellite's next version, which is spec with what
// it leaves out as the latest version has it.
func (s *Service) next(ctx context.Context, p Principal, satellite *constellation.Satellite, spec VersionSpec) (constellation.SatelliteVersion, postgres.VersionIDs, error) {
	latest := satellite.LatestVersion
	if spec.Schedules == nil {
		spec.Schedules = latest.Schedules
	}
	spec.Algorithms = keepSettings(spec.Algorithms, latest.Algorithms)
	spec.Algorithms = keepWeights(spec.Algorithms, latest.Algorithms)
	return s.resolve(ctx, p, constellation.Validation{}, spec)
}

// insertNext makes next the latest version of the satellite.
func (s *Service) insertNext(ctx context.Context, p Principal, satellite *constellation.Satellite, next constellation.SatelliteVersion, ids postgres.VersionIDs) error {
	before := *satellite
	s.touch(satellite, p)
	next.Number, next.CreatedAt, next.CreatedBy = before.LatestVersion.Number+1, satellite.UpdatedAt, p.Username
	satellite.LatestVersion = next
	if err := s.db.InsertSatelliteVersion(ctx, satellite.ID, &satellite.LatestVersion, ids); err != nil {
		return err
	}
	if err := s.db.UpdateSatellite(ctx, satellite); err != nil {
		return err
	}
	return s.audit(ctx, p, "satellite_version.create", satelliteTarget(satellite), viewSatellite(&before), viewSatellite(satellite))
}
