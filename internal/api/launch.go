package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) launchRoutes() {
	add(s, tagLaunches, "GET /v1/launches", viewer, "listEveryLaunch", "List the launch instances of all satellites", s.listEveryLaunch)
	add(s, tagLaunches, "GET /v1/satellites/{satellite_id}/launches", viewer, "listLaunches", "List a satellite's launch instances", s.listLaunches)
	add(s, tagLaunches, "POST /v1/satellites/{satellite_id}/launches", operator, "createLaunch", "Make a launch instance of a satellite version", s.createLaunch)
	add(s, tagLaunches, "PUT /v1/satellites/{satellite_id}/launches", operator, "putLaunch", "Make the launch instance of a name, or make it as it is here", s.putLaunch)
	add(s, tagLaunches, "GET /v1/satellites/{satellite_id}/launches/{launch_id}", viewer, "getLaunch", "Show a launch instance", s.getLaunch)
	add(s, tagLaunches, "GET /v1/satellites/{satellite_id}/launches/{launch_id}/history", viewer, "getLaunchHistory", "Show how a launch instance did over time", s.getLaunchHistory)
	add(s, tagLaunches, "PATCH /v1/satellites/{satellite_id}/launches/{launch_id}", operator, "updateLaunch", "Change a launch instance's version, name, description or labels", s.updateLaunch)
	add(s, tagLaunches, "DELETE /v1/satellites/{satellite_id}/launches/{launch_id}", operator, "deleteLaunch", "Remove a launch instance; what runs keeps serving", s.deleteLaunch)
	add(s, tagLaunches, "POST /v1/satellites/{satellite_id}/launches/{launch_id}/dead-letters", operator, "decideDeadLetters", "Ask a launch instance to retry or drop dead letters, with its next heartbeat", s.askDeadLetters)
	add(s, tagLaunches, "GET /v1/satellites/{satellite_id}/launches/{launch_id}/plan", operator, "getPlan", "Get the signed plan of a launch instance", s.getPlan)
}

// LaunchPath names a launch instance.
type LaunchPath struct {
	SatellitePath
	LaunchID string `path:"launch_id" doc:"The launch instance's UUID." example:"b8f7a1de-52c1-4dc0-a1b6-3c4f7b1e9d10"`
}

type launchOutput struct {
	ETag     string `header:"ETag" doc:"For If-Match."`
	Location string `header:"Location" doc:"Where the new launch instance is."`
	Body     apiv1.Launch
}

type listLaunchesInput struct {
	SatellitePath
	ListInput
	NameInput
	LaunchFilter
}

func (s *server) listLaunches(ctx context.Context, in *listLaunchesInput) (*listOutput[apiv1.Launch], error) {
	c := callOf(ctx)
	query := in.query()
	query.Name, query.Algorithm, query.Status, query.Selector = in.Name, in.Algorithm, in.Status, in.Selector
	page, err := c.control.ListLaunches(ctx, c.principal, in.SatelliteID, query)
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireLaunch)
}

type listEveryLaunchInput struct {
	ListInput
	NameInput
	NarrowInput
	Status    string `query:"status" maxLength:"200" doc:"Keeps the launch instances with one of these statuses, with commas between: up, degraded, stale, never_seen." example:"degraded,stale"`
	Satellite string `query:"satellite" maxLength:"200" doc:"Keeps the launch instances of this satellite: its name, ignoring case, or its UUID." example:"Edge Berlin"`
	Algorithm string `query:"algorithm" doc:"Keeps the launch instances whose satellite version, the one that is wanted, has this algorithm: OWNER/NAME, or OWNER/NAME/HASH for one version of it." example:"neo/hello"`
	Owner     string `query:"owner" maxLength:"200" doc:"Keeps the launch instances whose satellite version has an algorithm of this owner." example:"neo"`
	Selector  string `query:"selector" maxLength:"1000" doc:"Keeps what has such labels itself, in Kubernetes' syntax: region=eu, tier!=staging, region in (eu,us), tier notin (dev), tier, !tier; with commas between, all of them." example:"region in (eu,us),tier!=dev"`
	Expand    string `query:"expand" enum:"calls" doc:"calls: with the calls of the last 24 hours."`
}

func (s *server) listEveryLaunch(ctx context.Context, in *listEveryLaunchInput) (*listOutput[apiv1.ListedLaunch], error) {
	c := callOf(ctx)
	query := in.query()
	query.Name, query.Algorithm, query.Status, query.Selector = in.Name, in.Algorithm, in.Status, in.Selector
	query.Narrowing, query.Expand = in.narrowing(), in.Expand != ""
	query.Satellite, query.Owner = in.Satellite, in.Owner
	page, err := c.control.ListEveryLaunch(ctx, c.principal, query)
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, func(l *constellation.ListedLaunch) apiv1.ListedLaunch {
		wire := apiv1.ListedLaunch{
			Launch: wireLaunch(&l.Launch), SatelliteName: l.SatelliteName, SatelliteExpiresAt: l.ExpiresAt.UTC(), LatestVersion: l.LatestVersion, BehindSince: utc(l.BehindSince),
		}
		if query.Expand {
			wire.Calls = &apiv1.LaunchCalls{Calls: l.Calls, Errors: l.Errors}
		}
		return wire
	})
}

type createLaunchInput struct {
	SatellitePath
	DryRunInput
	Body apiv1.LaunchCreate
}

func (s *server) createLaunch(ctx context.Context, in *createLaunchInput) (*launchOutput, error) {
	c := callOf(ctx)
	launch, err := c.control.CreateLaunch(ctx, c.principal, in.SatelliteID, control.NewLaunch{
		SatelliteVersion: in.Body.SatelliteVersion, Name: in.Body.Name, Description: in.Body.Description, Labels: in.Body.Labels,
	})
	if err != nil {
		return nil, err
	}
	return &launchOutput{
		ETag:     etag(launch.Revision),
		Location: fmt.Sprintf("%s/v1/satellites/%s/launches/%s", s.publicURL, launch.SatelliteID, launch.ID),
		Body:     wireLaunch(launch),
	}, nil
}

type getLaunchInput struct {
	LaunchPath
	WaitInput
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of the answer that is at hand: answers 304 when it is still the same."`
}

type launchDetailOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"For If-Match, which looks at the changes that editors made, and If-None-Match, which looks at all."`
	Body   *apiv1.LaunchDetail
}

func (s *server) getLaunch(ctx context.Context, in *getLaunchInput) (*launchDetailOutput, error) {
	wait, timeout, err := in.wait()
	if err != nil {
		return nil, err
	}
	var reached *bool
	if timeout > 0 {
		there, err := s.await(ctx, in.LaunchPath, wait, timeout)
		if err != nil {
			return nil, err
		}
		reached = &there
	}
	c := callOf(ctx)
	launch, report, err := c.control.GetLaunchReport(ctx, c.principal, in.SatelliteID, in.LaunchID)
	if err != nil {
		return nil, err
	}
	body := &apiv1.LaunchDetail{Launch: wireLaunch(launch), Report: wireReport(report, launch), Reached: reached}
	tag, err := contentTag(launch.Revision, body)
	if err != nil {
		return nil, err
	}
	if matches(in.IfNoneMatch, tag) {
		return &launchDetailOutput{Status: http.StatusNotModified, ETag: tag}, nil
	}
	return &launchDetailOutput{Status: http.StatusOK, ETag: tag, Body: body}, nil
}

type historyInput struct {
	LaunchPath
	Resolution string `query:"resolution" doc:"How long a point lasts: 5m goes back a day, 1h thirty days, 1d a year. Left out, 5m." example:"5m"`
	Algorithm  string `query:"algorithm" doc:"The vanity URL of one algorithm; left out, all of them together." example:"foo/bar"`
}

type historyOutput struct{ Body apiv1.LaunchHistory }

func (s *server) getLaunchHistory(ctx context.Context, in *historyInput) (*historyOutput, error) {
	c := callOf(ctx)
	history, err := c.control.GetLaunchHistory(ctx, c.principal, in.SatelliteID, in.LaunchID, in.Resolution, in.Algorithm)
	if err != nil {
		return nil, err
	}
	return &historyOutput{wireHistory(history)}, nil
}

type updateLaunchInput struct {
	LaunchPath
	DryRunInput
	IfMatchInput
	Body apiv1.LaunchUpdate
}

func (s *server) updateLaunch(ctx context.Context, in *updateLaunchInput) (*launchOutput, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	launch, err := c.control.UpdateLaunch(ctx, c.principal, in.SatelliteID, in.LaunchID, revision, control.LaunchChange{
		SatelliteVersion: in.Body.SatelliteVersion, Name: in.Body.Name, Description: in.Body.Description, Labels: in.Body.Labels,
	})
	if err != nil {
		return nil, err
	}
	return &launchOutput{ETag: etag(launch.Revision), Body: wireLaunch(launch)}, nil
}

type deleteLaunchInput struct {
	LaunchPath
	IfMatchInput
}

func (s *server) deleteLaunch(ctx context.Context, in *deleteLaunchInput) (*struct{}, error) {
	c := callOf(ctx)
	revision, err := in.revision()
	if err != nil {
		return nil, err
	}
	return nil, c.control.DeleteLaunch(ctx, c.principal, in.SatelliteID, in.LaunchID, revision)
}

type planInput struct {
	LaunchPath
	IfNoneMatch string `header:"If-None-Match" doc:"The ETag of the plan that is at hand: answers 304 when it is still the same."`
}

type planOutput struct {
	Status int
	ETag   string `header:"ETag" doc:"The digest of launch.json, and the ID of the signing key once it was rotated."`
	Body   *apiv1.SignedPlan
}

func (s *server) getPlan(ctx context.Context, in *planInput) (*planOutput, error) {
	c := callOf(ctx)
	b, launch, err := c.control.LaunchBundle(ctx, c.principal, in.SatelliteID, in.LaunchID)
	if err != nil {
		return nil, err
	}
	tag := strconv.Quote(bundle.PlanTag(b.Root, b.Signature))
	if matches(in.IfNoneMatch, tag) {
		return &planOutput{Status: http.StatusNotModified, ETag: tag}, nil
	}
	signature, err := json.Marshal(b.Signature)
	if err != nil {
		return nil, fmt.Errorf("encode the signature of launch %s: %w", launch.ID, err)
	}
	return &planOutput{Status: http.StatusOK, ETag: tag, Body: &apiv1.SignedPlan{
		Launch: string(b.Root), Signature: signature, Plan: string(b.Plan),
		Bundle: "satellites/" + launch.SatelliteID + ":" + launch.ID, Index: bundle.Digest(b.Index),
	}}, nil
}

func wireLaunch(l *constellation.Launch) apiv1.Launch {
	return apiv1.Launch{
		ID: l.ID, SatelliteID: l.SatelliteID, SatelliteVersion: l.SatelliteVersion, Name: l.Name, Description: l.Description, Labels: l.Labels.Over(nil),
		CreatedAt: l.CreatedAt.UTC(), CreatedBy: l.CreatedBy, UpdatedAt: l.UpdatedAt.UTC(),
		FirstSeenAt: utc(l.FirstSeenAt), LastSeenAt: utc(l.LastSeenAt), RunningVersion: l.RunningVersion,
		SystemVersion: l.SystemVersion, Status: string(l.Status), StatusReason: l.StatusReason, StatusSince: utc(l.StatusSince),
		Ready: l.Ready, Wanted: l.Wanted,
	}
}
