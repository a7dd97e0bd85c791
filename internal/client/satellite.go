package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// ListSatellites lists satellites.
func (c *Client) ListSatellites(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.Satellite], error) {
	return list[apiv1.Satellite](ctx, c, path("satellites"), o.query())
}

// CreateSatellite makes a satellite with its version 1.
func (c *Client) CreateSatellite(ctx context.Context, satellite apiv1.SatelliteCreate) (*apiv1.Satellite, error) {
	var created apiv1.Satellite
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("satellites"), body: satellite, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// GetSatellite shows a satellite and its ETag, for the ifMatch of a change.
func (c *Client) GetSatellite(ctx context.Context, id string) (satellite *apiv1.Satellite, etag string, err error) {
	satellite = &apiv1.Satellite{}
	_, header, err := c.do(ctx, request{method: http.MethodGet, path: path("satellites", id), into: satellite})
	if err != nil {
		return nil, "", err
	}
	return satellite, header.Get("ETag"), nil
}

// UpdateSatellite renames, renews or labels a satellite. With ifMatch it fails when
// somebody else has changed it since: see IsPreconditionFailed.
func (c *Client) UpdateSatellite(ctx context.Context, id, ifMatch string, change apiv1.SatelliteUpdate) (satellite *apiv1.Satellite, etag string, err error) {
	satellite = &apiv1.Satellite{}
	_, header, err := c.do(ctx, request{
		method: http.MethodPatch, path: path("satellites", id), header: map[string]string{"If-Match": ifMatch}, body: change, into: satellite,
	})
	if err != nil {
		return nil, "", err
	}
	return satellite, header.Get("ETag"), nil
}

// DeleteSatellite removes a satellite; ifMatch as in UpdateSatellite.
func (c *Client) DeleteSatellite(ctx context.Context, id, ifMatch string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("satellites", id), header: map[string]string{"If-Match": ifMatch}})
	return err
}

// CreateSatelliteVersion makes the next version, with the schedules of the one
// before; ifMatch as in UpdateSatellite.
func (c *Client) CreateSatelliteVersion(ctx context.Context, id, ifMatch string, algorithms []apiv1.SatelliteAlgorithm) (*apiv1.SatelliteVersion, error) {
	return c.CreateSatelliteVersionWith(ctx, id, ifMatch, apiv1.SatelliteVersionCreate{Algorithms: algorithms})
}

// CreateSatelliteVersionWith makes the next version with its schedules; nil are
// those of the version before. ifMatch as in UpdateSatellite.
func (c *Client) CreateSatelliteVersionWith(ctx context.Context, id, ifMatch string, next apiv1.SatelliteVersionCreate) (*apiv1.SatelliteVersion, error) {
	var version apiv1.SatelliteVersion
	_, _, err := c.do(ctx, request{
		method: http.MethodPost, path: path("satellites", id, "versions"), header: map[string]string{"If-Match": ifMatch}, body: next, into: &version,
	})
	if err != nil {
		return nil, err
	}
	return &version, nil
}

// Diff returns what changed in a satellite from one version to another.
func (c *Client) Diff(ctx context.Context, id string, from, to int) (*apiv1.VersionDiff, error) {
	var diff apiv1.VersionDiff
	_, _, err := c.do(ctx, request{
		method: http.MethodGet, path: path("satellites", id, "versions", strconv.Itoa(to), "diff"),
		query: url.Values{"from": {strconv.Itoa(from)}}, into: &diff,
	})
	if err != nil {
		return nil, err
	}
	return &diff, nil
}

// CreateSatelliteKey makes a key that may call a satellite's algorithms; the
// answer's Secret is shown this once.
func (c *Client) CreateSatelliteKey(ctx context.Context, id string, key apiv1.SatelliteKeyCreate) (*apiv1.SatelliteKeyCreated, error) {
	var created apiv1.SatelliteKeyCreated
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("satellites", id, "keys"), body: key, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// RevokeSatelliteKey stops a satellite's key.
func (c *Client) RevokeSatelliteKey(ctx context.Context, id, keyID string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("satellites", id, "keys", keyID)})
	return err
}
