package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// CreateLaunch makes a launch instance of a satellite version.
func (c *Client) CreateLaunch(ctx context.Context, satelliteID string, launch apiv1.LaunchCreate) (*apiv1.Launch, error) {
	var created apiv1.Launch
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("satellites", satelliteID, "launches"), body: launch, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// ListLaunches lists a satellite's launch instances with their statuses.
func (c *Client) ListLaunches(ctx context.Context, satelliteID string, o ListOptions) (*apiv1.List[apiv1.Launch], error) {
	return list[apiv1.Launch](ctx, c, path("satellites", satelliteID, "launches"), o.query())
}

// GetLaunch shows a launch instance with what it last reported, and its ETag.
func (c *Client) GetLaunch(ctx context.Context, satelliteID, launchID string) (launch *apiv1.LaunchDetail, etag string, err error) {
	launch = &apiv1.LaunchDetail{}
	_, header, err := c.do(ctx, request{method: http.MethodGet, path: path("satellites", satelliteID, "launches", launchID), into: launch})
	if err != nil {
		return nil, "", err
	}
	return launch, header.Get("ETag"), nil
}

// LaunchHistory shows how a launch instance did over time: in points of 5m (also
// for ""), 1h or 1d, of one algorithm or, when vanityURL is "", of all.
func (c *Client) LaunchHistory(ctx context.Context, satelliteID, launchID, resolution, vanityURL string) (*apiv1.LaunchHistory, error) {
	query := url.Values{}
	if resolution != "" {
		query.Set("resolution", resolution)
	}
	if vanityURL != "" {
		query.Set("algorithm", vanityURL)
	}
	var history apiv1.LaunchHistory
	_, _, err := c.do(ctx, request{method: http.MethodGet, path: path("satellites", satelliteID, "launches", launchID, "history"), query: query, into: &history})
	if err != nil {
		return nil, err
	}
	return &history, nil
}

// Heartbeat reports how a launch does. The client's key is the launch's token.
func (c *Client) Heartbeat(ctx context.Context, satelliteID, launchID string, heartbeat *apiv1.Heartbeat) (*apiv1.HeartbeatAnswer, error) {
	var answer apiv1.HeartbeatAnswer
	_, _, err := c.do(ctx, request{
		method: http.MethodPost, path: path("satellites", satelliteID, "launches", launchID, "heartbeat"), body: heartbeat, into: &answer,
	})
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

// DecideDeadLetters asks a launch to retry or drop dead letters, which it hears of
// with its next heartbeat; GetLaunch's report says what became of it.
func (c *Client) DecideDeadLetters(ctx context.Context, satelliteID, launchID string, decision apiv1.DeadLettersDecision) (*apiv1.QueueCommand, error) {
	var command apiv1.QueueCommand
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("satellites", satelliteID, "launches", launchID, "dead-letters"), body: decision, into: &command})
	if err != nil {
		return nil, err
	}
	return &command, nil
}

// UpdateLaunch changes a launch instance's version, name, description or labels;
// ifMatch as in UpdateSatellite.
func (c *Client) UpdateLaunch(ctx context.Context, satelliteID, launchID, ifMatch string, change apiv1.LaunchUpdate) (launch *apiv1.Launch, etag string, err error) {
	launch = &apiv1.Launch{}
	_, header, err := c.do(ctx, request{
		method: http.MethodPatch, path: path("satellites", satelliteID, "launches", launchID),
		header: map[string]string{"If-Match": ifMatch}, body: change, into: launch,
	})
	if err != nil {
		return nil, "", err
	}
	return launch, header.Get("ETag"), nil
}

// DeleteLaunch removes a launch instance; what runs keeps serving.
func (c *Client) DeleteLaunch(ctx context.Context, satelliteID, launchID string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("satellites", satelliteID, "launches", launchID)})
	return err
}

// Plan gets the signed plan of a launch instance and its ETag. With the ETag
// of the plan at hand as ifNoneMatch, notModified says that it is still the
// same, and the plan is nil.
func (c *Client) Plan(ctx context.Context, satelliteID, launchID, ifNoneMatch string) (plan *apiv1.SignedPlan, etag string, notModified bool, err error) {
	plan = &apiv1.SignedPlan{}
	status, header, err := c.do(ctx, request{
		method: http.MethodGet, path: path("satellites", satelliteID, "launches", launchID, "plan"),
		header: map[string]string{"If-None-Match": ifNoneMatch}, into: plan,
	})
	switch {
	case err != nil:
		return nil, "", false, err
	case status == http.StatusNotModified:
		return nil, header.Get("ETag"), true, nil
	}
	return plan, header.Get("ETag"), false, nil
}
