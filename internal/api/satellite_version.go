package api

import (
	"context"
	"fmt"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

type listSatelliteVersionsInput struct {
	SatellitePath
	ListInput
	ExpandAlgorithms
}

func (s *server) listSatelliteVersions(ctx context.Context, in *listSatelliteVersionsInput) (*listOutput[apiv1.SatelliteVersion], error) {
	c := callOf(ctx)
	query := in.query()
	query.Expand = in.Expand != ""
	page, err := c.control.ListSatelliteVersions(ctx, c.principal, in.SatelliteID, query)
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, func(v *constellation.SatelliteVersion) apiv1.SatelliteVersion {
		wire := wireSatelliteVersion(v)
		if !query.Expand {
			wire.Algorithms, wire.Schedules = nil, nil
		}
		return wire
	})
}

type createSatelliteVersionInput struct {
	SatellitePath
	IfMatchInput
	Body apiv1.SatelliteVersionCreate
}

type satelliteVersionOutput struct {
	ETag     string `header:"ETag" doc:"Of the satellite, for If-Match; only when a version is made."`
	Location string `header:"Location" doc:"Where the new version is."`
	Body     apiv1.SatelliteVersion
}

func (s *server) createSatelliteVersion(ctx context.Context, in *createSatelliteVersionInput) (*satelliteVersionOutput, error) {
	c := callOf(ctx)
	ifMatch, err := in.revision()
	if err != nil {
		return nil, err
	}
	version, revision, err := c.control.CreateSatelliteVersion(ctx, c.principal, in.SatelliteID, ifMatch, versionSpec(in.Body.Algorithms, in.Body.Schedules))
	if err != nil {
		return nil, err
	}
	return &satelliteVersionOutput{
		ETag:     etag(revision),
		Location: fmt.Sprintf("%s/v1/satellites/%s/versions/%d", s.publicURL, in.SatelliteID, version.Number),
		Body:     wireSatelliteVersion(version),
	}, nil
}

// SatelliteVersionPath names a version of a satellite.
type SatelliteVersionPath struct {
	SatellitePath
	Number int `path:"number" minimum:"1" maximum:"2147483647" doc:"1, 2, 3, …" example:"2"`
}

func (s *server) getSatelliteVersion(ctx context.Context, in *SatelliteVersionPath) (*satelliteVersionOutput, error) {
	c := callOf(ctx)
	version, err := c.control.GetSatelliteVersion(ctx, c.principal, in.SatelliteID, in.Number)
	if err != nil {
		return nil, err
	}
	return &satelliteVersionOutput{Body: wireSatelliteVersion(version)}, nil
}

type diffInput struct {
	SatelliteVersionPath
	From int `query:"from" required:"true" minimum:"1" maximum:"2147483647" doc:"The version to compare with." example:"1"`
}

type diffOutput struct{ Body apiv1.VersionDiff }

func (s *server) diffSatelliteVersions(ctx context.Context, in *diffInput) (*diffOutput, error) {
	c := callOf(ctx)
	diff, err := c.control.DiffSatelliteVersions(ctx, c.principal, in.SatelliteID, in.From, in.Number)
	if err != nil {
		return nil, err
	}
	wire := apiv1.VersionDiff{
		From: in.From, To: in.Number,
		Added: wireAlgorithms(diff.Added), Removed: wireAlgorithms(diff.Removed), Changed: []apiv1.AlgorithmChange{},
		Schedules: apiv1.ScheduleDiff{
			Added: wireSchedules(diff.Schedules.Added), Removed: wireSchedules(diff.Schedules.Removed), Changed: []apiv1.ScheduleChange{},
		},
	}
	for _, change := range diff.Changed {
		wire.Changed = append(wire.Changed, apiv1.AlgorithmChange{From: wireSatelliteAlgorithm(change.From), To: wireSatelliteAlgorithm(change.To)})
	}
	for _, change := range diff.Schedules.Changed {
		wire.Schedules.Changed = append(wire.Schedules.Changed, apiv1.ScheduleChange{From: apiv1.Schedule(change.From), To: apiv1.Schedule(change.To)})
	}
	return &diffOutput{wire}, nil
}
