package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) satelliteRoutes() {
	add(s, tagSatellites, "GET /v1/satellites", viewer, "listSatellites", "List satellites", s.listSatellites)
	add(s, tagSatellites, "POST /v1/satellites", admin, "createSatellite", "Make a satellite with its version 1", s.createSatellite)
	add(s, tagSatellites, "PUT /v1/satellites", admin, "putSatellite", "Make the satellite of a name, or make it as it is here", s.putSatellite)
	add(s, tagSatellites, "GET /v1/satellites/{satellite_id}", viewer, "getSatellite", "Show a satellite and its latest version", s.getSatellite)
	add(s, tagSatellites, "PATCH /v1/satellites/{satellite_id}", admin, "updateSatellite", "Rename, renew or label a satellite", s.updateSatellite)
	add(s, tagSatellites, "DELETE /v1/satellites/{satellite_id}", admin, "deleteSatellite", "Remove a satellite; what runs keeps serving", s.deleteSatellite)

	add(s, tagSatellites, "GET /v1/satellites/{satellite_id}/versions", viewer, "listSatelliteVersions", "List a satellite's versions", s.listSatelliteVersions)
	add(s, tagSatellites, "POST /v1/satellites/{satellite_id}/versions", admin, "createSatelliteVersion", "Make a satellite's next version", s.createSatelliteVersion)
	add(s, tagSatellites, "PATCH /v1/satellites/{satellite_id}/versions/latest", admin, "patchSatelliteVersion", "Make a satellite's next version with one algorithm changed", s.patchSatelliteVersion)
	add(s, tagSatellites, "GET /v1/satellites/{satellite_id}/versions/{number}", viewer, "getSatelliteVersion", "Show one version of a satellite", s.getSatelliteVersion)
	add(s, tagSatellites, "DELETE /v1/satellites/{satellite_id}/versions/{number}", admin, "deleteSatelliteVersion", "Remove a version that is not the latest and that no launch has or runs", s.deleteSatelliteVersion)
	add(s, tagSatellites, "GET /v1/satellites/{satellite_id}/versions/{number}/diff", viewer, "diffSatelliteVersions", "Compare two versions of a satellite", s.diffSatelliteVersions)

	add(s, tagSatellites, "GET /v1/satellites/{satellite_id}/keys", viewer, "listSatelliteKeys", "List the keys that may call a satellite's algorithms", s.listSatelliteKeys)
	add(s, tagSatellites, "POST /v1/satellites/{satellite_id}/keys", admin, "createSatelliteKey", "Make a key that may call a satellite's algorithms, shown once", s.createSatelliteKey)
	add(s, tagSatellites, "DELETE /v1/satellites/{satellite_id}/keys/{key_id}", admin, "revokeSatelliteKey", "Revoke a satellite's key", s.revokeSatelliteKey)
}

// SatellitePath names a satellite.
type SatellitePath struct {
	SatelliteID string `path:"satellite_id" doc:"The satellite's UUID." example:"0b5c3f0e-6f0d-4f7e-9d56-0f6c8b1f3a52"`
}

type satelliteOutput struct {
	ETag     string `header:"ETag" doc:"For If-Match."`
	Location string `header:"Location" doc:"Where the new satellite is."`
	Body     apiv1.Satellite
}

type listSatellitesInput struct {
	ListInput
	NameInput
	SatelliteFilter
	NarrowInput
	ExpandAlgorithms
}

func (s *server) listSatellites(ctx context.Context, in *listSatellitesInput) (*listOutput[apiv1.Satellite], error) {
	c := callOf(ctx)
	query := in.query()
	query.Expand, query.Name = in.Expand != "", in.Name
	query.Algorithm, query.Status, query.Selector, query.Narrowing = in.Algorithm, in.Status, in.Selector, in.narrowing()
	page, err := c.control.ListSatellites(ctx, c.principal, query)
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, func(satellite *constellation.Satellite) apiv1.Satellite {
		wire := wireSatellite(satellite)
		if !query.Expand {
			wire.LatestVersion.Algorithms, wire.LatestVersion.Schedules = nil, nil
		}
		return wire
	})
}

type createSatelliteInput struct {
	DryRunInput
	Body apiv1.SatelliteCreate
}

func (s *server) createSatellite(ctx context.Context, in *createSatelliteInput) (*satelliteOutput, error) {
	c := callOf(ctx)
	spec := versionSpec(in.Body.Algorithms, in.Body.Schedules)
	satellite, err := c.control.CreateSatellite(ctx, c.principal, control.NewSatellite{
		Name: in.Body.Name, ExpiresAt: utc(in.Body.ExpiresAt), Labels: in.Body.Labels, Algorithms: spec.Algorithms, Schedules: spec.Schedules,
	})
	if err != nil {
		return nil, err
	}
	return &satelliteOutput{
		ETag: etag(satellite.Revision), Location: s.publicURL + "/v1/satellites/" + satellite.ID, Body: wireSatellite(satellite),
	}, nil
}

func (s *server) getSatellite(ctx context.Context, in *SatellitePath) (*satelliteOutput, error) {
	c := callOf(ctx)
	satellite, err := c.control.GetSatellite(ctx, c.principal, in.SatelliteID)
	if err != nil {
		return nil, err
	}
	return &satelliteOutput{ETag: etag(satellite.Revision), Body: wireSatellite(satellite)}, nil
}

type updateSatelliteInput struct {
	SatellitePath
	DryRunInput
	IfMatchInput
	Body apiv1.SatelliteUpdate
}

func (s *server) updateSatellite(ctx context.Context, in *updateSatelliteInput) (*satelliteOutput, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	satellite, err := c.control.UpdateSatellite(ctx, c.principal, in.SatelliteID, revision, control.SatelliteChange{
		Name: in.Body.Name, ExpiresAt: utc(in.Body.ExpiresAt), Labels: in.Body.Labels,
	})
	if err != nil {
		return nil, err
	}
	return &satelliteOutput{ETag: etag(satellite.Revision), Body: wireSatellite(satellite)}, nil
}

type deleteSatelliteInput struct {
	SatellitePath
	IfMatchInput
}

func (s *server) deleteSatellite(ctx context.Context, in *deleteSatelliteInput) (*struct{}, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	return nil, c.control.DeleteSatellite(ctx, c.principal, in.SatelliteID, revision)
}

func versionSpec(algorithms []apiv1.SatelliteAlgorithm, schedules []apiv1.Schedule) control.VersionSpec {
	spec := control.VersionSpec{Algorithms: make([]control.AlgorithmSpec, len(algorithms))}
	for i, a := range algorithms {
		spec.Algorithms[i] = control.AlgorithmSpec{
			Algorithm: a.Algorithm, VanityURL: a.VanityURL, Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas,
			Settings: podSettings(a),
			Weights:  specWeights(a.Weights), RuntimeRevision: a.RuntimeRevision,
		}
	}
	if schedules == nil {
		return spec
	}
	spec.Schedules = make([]constellation.Schedule, len(schedules))
	for i, schedule := range schedules {
		spec.Schedules[i] = constellation.Schedule(schedule)
	}
	return spec
}

func wireSatellite(s *constellation.Satellite) apiv1.Satellite {
	return apiv1.Satellite{
		ID: s.ID, Name: s.Name, CreatedAt: s.CreatedAt.UTC(), CreatedBy: s.CreatedBy, UpdatedAt: s.UpdatedAt.UTC(),
		ExpiresAt: s.ExpiresAt.UTC(), Labels: s.Labels.Over(nil), LatestVersion: wireSatelliteVersion(&s.LatestVersion),
		Launches: apiv1.LaunchCounts{Total: s.LaunchCount, Up: s.LaunchesUp, Degraded: s.LaunchesDegraded, Stale: s.LaunchesStale},
	}
}

func wireSatelliteVersion(v *constellation.SatelliteVersion) apiv1.SatelliteVersion {
	return apiv1.SatelliteVersion{
		Number: v.Number, CreatedAt: v.CreatedAt.UTC(), CreatedBy: v.CreatedBy,
		Algorithms: wireAlgorithms(v.Algorithms), Schedules: wireSchedules(v.Schedules),
	}
}

func wireAlgorithms(algorithms []constellation.SatelliteAlgorithm) []apiv1.SatelliteAlgorithm {
	list := make([]apiv1.SatelliteAlgorithm, 0, len(algorithms))
	for _, a := range algorithms {
		list = append(list, wireSatelliteAlgorithm(a))
	}
	return list
}

func wireSatelliteAlgorithm(a constellation.SatelliteAlgorithm) apiv1.SatelliteAlgorithm {
	wire := apiv1.SatelliteAlgorithm{Algorithm: a.Algorithm.String(), VanityURL: a.VanityURL, Replicas: a.Replicas, MinReplicas: a.MinReplicas, MaxReplicas: a.MaxReplicas}
	if len(a.Settings.Env) > 0 {
		wire.Env = a.Settings.Env
	}
	for _, f := range a.Settings.EnvFrom {
		wire.EnvFrom = append(wire.EnvFrom, apiv1.EnvFrom(f))
	}
	for _, volume := range a.Settings.Volumes {
		wire.Volumes = append(wire.Volumes, apiv1.Volume(volume))
	}
	wire.Weights, wire.RuntimeRevision = wireWeights(a.Weights), a.RuntimeRevision
	return wire
}

// podSettings are the settings of an algorithm as they came; a part that was left
// out is nil.
func podSettings(a apiv1.SatelliteAlgorithm) constellation.PodSettings {
	s := constellation.PodSettings{Env: a.Env}
	if a.EnvFrom != nil {
		s.EnvFrom = make([]constellation.EnvFrom, len(a.EnvFrom))
	}
	for i, f := range a.EnvFrom {
		s.EnvFrom[i] = constellation.EnvFrom(f)
	}
	if a.Volumes != nil {
		s.Volumes = make([]constellation.Volume, len(a.Volumes))
	}
	for i, volume := range a.Volumes {
		s.Volumes[i] = constellation.Volume(volume)
	}
	return s
}

// specWeights are the weights of an algorithm as they came; nil where they were
// left out.
func specWeights(mounts []apiv1.WeightsMount) []control.WeightsSpec {
	if mounts == nil {
		return nil
	}
	specs := make([]control.WeightsSpec, len(mounts))
	for i, m := range mounts {
		specs[i] = control.WeightsSpec(m)
	}
	return specs
}

func wireWeights(mounts []constellation.WeightsMount) []apiv1.WeightsMount {
	var wire []apiv1.WeightsMount
	for _, m := range mounts {
		wire = append(wire, apiv1.WeightsMount{Artifact: m.Artifact.String(), Path: m.Path})
	}
	return wire
}

func wireSchedules(schedules []constellation.Schedule) []apiv1.Schedule {
	list := make([]apiv1.Schedule, 0, len(schedules))
	for _, schedule := range schedules {
		list = append(list, apiv1.Schedule(schedule))
	}
	return list
}
