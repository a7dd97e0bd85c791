package client

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// ImportVersion has an image of another registry made a version of an algorithm, in
// the background: GetAlgorithmVersion tells how far that is.
func (c *Client) ImportVersion(ctx context.Context, owner, name string, wanted apiv1.AlgorithmVersionImport) (*apiv1.AlgorithmVersion, error) {
	var v apiv1.AlgorithmVersion
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("algorithms", owner, name, "versions"), body: wanted, into: &v})
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// CancelImport ends the import of a version.
func (c *Client) CancelImport(ctx context.Context, owner, name, gitHash string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("algorithms", owner, name, "versions", gitHash, "import")})
	return err
}

// ListRegistries lists the registries that images are imported from.
func (c *Client) ListRegistries(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.Registry], error) {
	return list[apiv1.Registry](ctx, c, path("registries"), o.query())
}

// CreateRegistry says how a registry is reached, with its login.
func (c *Client) CreateRegistry(ctx context.Context, registry apiv1.RegistryCreate) (*apiv1.Registry, error) {
	var created apiv1.Registry
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("registries"), body: registry, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// UpdateRegistry changes how a registry is reached, or its login.
func (c *Client) UpdateRegistry(ctx context.Context, id string, change apiv1.RegistryUpdate) (*apiv1.Registry, error) {
	var registry apiv1.Registry
	_, _, err := c.do(ctx, request{method: http.MethodPatch, path: path("registries", id), body: change, into: &registry})
	if err != nil {
		return nil, err
	}
	return &registry, nil
}

// TestRegistry asks a registry whether it lets its login in.
func (c *Client) TestRegistry(ctx context.Context, id string) (*apiv1.RegistryTest, error) {
	var test apiv1.RegistryTest
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("registries", id, "test"), into: &test})
	if err != nil {
		return nil, err
	}
	return &test, nil
}

// DeleteRegistry forgets a registry and its login.
func (c *Client) DeleteRegistry(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("registries", id)})
	return err
}
