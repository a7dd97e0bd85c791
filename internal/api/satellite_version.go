package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
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
	DryRunInput
	IfMatchInput
	Body apiv1.SatelliteVersionCreate
}

type satelliteVersionMadeOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"Of the satellite, for If-Match."`
	Location string `header:"Location" doc:"Where the version is."`
	Body     apiv1.SatelliteVersionMade
}

func (s *server) createSatelliteVersion(ctx context.Context, in *createSatelliteVersionInput) (*satelliteVersionMadeOutput, error) {
	c := callOf(ctx)
	ifMatch, err := in.revision()
	if err != nil {
		return nil, err
	}
	next, err := c.control.EnsureSatelliteVersion(ctx, c.principal, in.SatelliteID, ifMatch, versionSpec(in.Body.Algorithms, in.Body.Schedules))
	if err != nil {
		return nil, err
	}
	return s.satelliteVersionMade(in.SatellitePath, next), nil
}

type patchSatelliteVersionInput struct {
	SatellitePath
	DryRunInput
	Base int `query:"base" minimum:"1" maximum:"2147483647" doc:"The version that the change is made for: 409 when another one is the latest. Left out, whichever is." example:"4"`
	IfMatchInput
	Body apiv1.SatelliteVersionPatch
}

func (s *server) patchSatelliteVersion(ctx context.Context, in *patchSatelliteVersionInput) (*satelliteVersionMadeOutput, error) {
	c := callOf(ctx)
	ifMatch, err := in.revision()
	if err != nil {
		return nil, err
	}
	body := in.Body
	next, err := c.control.PatchSatelliteVersion(ctx, c.principal, in.SatelliteID, ifMatch, in.Base, control.AlgorithmPatch{
		Algorithm: body.Algorithm, VanityURL: body.VanityURL,
		Replicas: body.Replicas, MinReplicas: body.MinReplicas, MaxReplicas: body.MaxReplicas,
		Settings: podSettings(apiv1.SatelliteAlgorithm{Env: body.Env, EnvFrom: body.EnvFrom, Volumes: body.Volumes}),
		Weights:  specWeights(body.Weights), RuntimeRevision: body.RuntimeRevision,
	})
	if err != nil {
		return nil, err
	}
	return s.satelliteVersionMade(in.SatellitePath, next), nil
}

func (s *server) satelliteVersionMade(of SatellitePath, next control.NextVersion) *satelliteVersionMadeOutput {
	out := &satelliteVersionMadeOutput{
		Status: http.StatusOK, ETag: etag(next.Revision),
		Location: fmt.Sprintf("%s/v1/satellites/%s/versions/%d", s.publicURL, of.SatelliteID, next.Version.Number),
		Body:     apiv1.SatelliteVersionMade{SatelliteVersion: wireSatelliteVersion(next.Version), Created: next.Created},
	}
	if next.Created {
		out.Status = http.StatusCreated
	}
	return out
}

type satelliteVersionOutput struct{ Body apiv1.SatelliteVersion }

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

func (s *server) deleteSatelliteVersion(ctx context.Context, in *SatelliteVersionPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.DeleteSatelliteVersion(ctx, c.principal, in.SatelliteID, in.Number)
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
