package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// PutInput names what is put, and says what that depends on.
type PutInput struct {
	Name        string `query:"name" required:"true" doc:"The name, whole, ignoring case: what has it is replaced, and made when nothing has." example:"Edge Berlin"`
	IfMatch     string `header:"If-Match" doc:"The ETag of the state that is to be replaced: another editor's change in between answers 412. *: whatever there is, and 412 when there is nothing." example:"\"3\""`
	IfNoneMatch string `header:"If-None-Match" doc:"*: only make it; 412 when there is one."`
}

// condition reads what a put depends on.
func (in PutInput) condition() (c control.PutCondition, err error) {
	if in.IfNoneMatch != "" && strings.TrimSpace(in.IfNoneMatch) != "*" {
		return c, constellation.Errorf(constellation.KindMalformed, "If-None-Match of a PUT is *, which makes it only when it is not there; not %s", shorten(in.IfNoneMatch))
	}
	c.New, c.Exists = in.IfNoneMatch != "", in.IfMatch != ""
	c.IfMatch, err = IfMatchInput{in.IfMatch}.revision()
	return c, err
}

// putStatus is what a put is answered with.
func putStatus(did control.Put) int {
	if did == control.PutCreated {
		return http.StatusCreated
	}
	return http.StatusOK
}

type putSatelliteInput struct {
	PutInput
	DryRunInput
	Body apiv1.SatellitePut
}

type putSatelliteOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"For If-Match."`
	Location string `header:"Location" doc:"Where the satellite is."`
	Body     apiv1.SatellitePutDone
}

func (s *server) putSatellite(ctx context.Context, in *putSatelliteInput) (*putSatelliteOutput, error) {
	c := callOf(ctx)
	condition, err := in.condition()
	if err != nil {
		return nil, err
	}
	spec := versionSpec(in.Body.Algorithms, in.Body.Schedules)
	satellite, did, err := c.control.PutSatellite(ctx, c.principal, condition, control.NewSatellite{
		Name: in.Name, ExpiresAt: utc(in.Body.ExpiresAt), Labels: in.Body.Labels, Algorithms: spec.Algorithms, Schedules: spec.Schedules,
	})
	if err != nil {
		return nil, err
	}
	return &putSatelliteOutput{
		Status: putStatus(did), ETag: etag(satellite.Revision), Location: s.publicURL + "/v1/satellites/" + satellite.ID,
		Body: apiv1.SatellitePutDone{Satellite: wireSatellite(satellite), Result: string(did)},
	}, nil
}

type putLaunchInput struct {
	SatellitePath
	PutInput
	DryRunInput
	Body apiv1.LaunchPut
}

type putLaunchOutput struct {
	Status   int
	ETag     string `header:"ETag" doc:"For If-Match."`
	Location string `header:"Location" doc:"Where the launch instance is."`
	Body     apiv1.LaunchPutDone
}

func (s *server) putLaunch(ctx context.Context, in *putLaunchInput) (*putLaunchOutput, error) {
	c := callOf(ctx)
	condition, err := in.condition()
	if err != nil {
		return nil, err
	}
	launch, did, err := c.control.PutLaunch(ctx, c.principal, in.SatelliteID, condition, control.NewLaunch{
		SatelliteVersion: in.Body.SatelliteVersion, Name: in.Name, Description: in.Body.Description, Labels: in.Body.Labels,
	})
	if err != nil {
		return nil, err
	}
	return &putLaunchOutput{
		Status: putStatus(did), ETag: etag(launch.Revision),
		Location: fmt.Sprintf("%s/v1/satellites/%s/launches/%s", s.publicURL, launch.SatelliteID, launch.ID),
		Body:     apiv1.LaunchPutDone{Launch: wireLaunch(launch), Result: string(did)},
	}, nil
}
