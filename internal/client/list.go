package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// ListOptions ask for one page of a list; the zero value is its first fifty. A
// page may have fewer results than Limit: it ends where Marker is nil.
type ListOptions struct {
	Q        string // keeps what has this in its name
	Selector string // of satellites and launches: keeps what has such labels
	Sort     string // a field, with "-" before it for descending
	Limit    int    // results a page
	Marker   string // of the page before
	Expand   string // algorithms or changes: what is nested in results and left out else
}

func (o ListOptions) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{"q": o.Q, "sort": o.Sort, "marker": o.Marker, "expand": o.Expand, "selector": o.Selector} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	return query
}

func list[T any](ctx context.Context, c *Client, path string, query url.Values) (*apiv1.List[T], error) {
	var page apiv1.List[T]
	_, _, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query, into: &page})
	if err != nil {
		return nil, err
	}
	return &page, nil
}

// LaunchesOptions ask for one page of the launches of all satellites; "" leaves a filter
// out. Status may be several with commas between.
type LaunchesOptions struct {
	ListOptions
	Status, Satellite, Algorithm, Owner, CreatedBy string
	Behind, BehindFor, ExpiresBefore, ExpiresAfter string
}

// ListEveryLaunch lists the launch instances of all satellites.
func (c *Client) ListEveryLaunch(ctx context.Context, o LaunchesOptions) (*apiv1.List[apiv1.ListedLaunch], error) {
	query := o.query()
	for name, value := range map[string]string{
		"status": o.Status, "satellite": o.Satellite, "algorithm": o.Algorithm, "owner": o.Owner, "created_by": o.CreatedBy,
		"behind": o.Behind, "behind_for": o.BehindFor, "expires_before": o.ExpiresBefore, "expires_after": o.ExpiresAfter,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return list[apiv1.ListedLaunch](ctx, c, path("launches"), query)
}

// EventOptions ask for one page of the audit log; "" leaves a filter out.
type EventOptions struct {
	ListOptions
	Actor, Action, TargetKind, TargetID string
}

// Events lists the audit log, newest first.
func (c *Client) Events(ctx context.Context, o EventOptions) (*apiv1.List[apiv1.Event], error) {
	query := o.query()
	for name, value := range map[string]string{"actor": o.Actor, "action": o.Action, "target_kind": o.TargetKind, "target_id": o.TargetID} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return list[apiv1.Event](ctx, c, path("events"), query)
}

// ListAlgorithms lists algorithms.
func (c *Client) ListAlgorithms(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.Algorithm], error) {
	return list[apiv1.Algorithm](ctx, c, path("algorithms"), o.query())
}

// GetAlgorithmVersion shows the version hash of the algorithm owner/name.
func (c *Client) GetAlgorithmVersion(ctx context.Context, owner, name, hash string) (*apiv1.AlgorithmVersion, error) {
	var version apiv1.AlgorithmVersion
	_, _, err := c.do(ctx, request{method: http.MethodGet, path: path("algorithms", owner, name, "versions", hash), into: &version})
	if err != nil {
		return nil, err
	}
	return &version, nil
}

// UpdateAlgorithmVersion corrects the runtime settings of a version, for what is made
// from then on; ifMatch as in UpdateSatellite.
func (c *Client) UpdateAlgorithmVersion(ctx context.Context, owner, name, hash, ifMatch string, change apiv1.AlgorithmVersionUpdate) (*apiv1.AlgorithmVersion, error) {
	var version apiv1.AlgorithmVersion
	_, _, err := c.do(ctx, request{
		method: http.MethodPatch, path: path("algorithms", owner, name, "versions", hash), header: map[string]string{"If-Match": ifMatch}, body: change, into: &version,
	})
	if err != nil {
		return nil, err
	}
	return &version, nil
}
