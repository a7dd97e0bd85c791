package client

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// ListMirrors lists the rules by which tags of other registries become versions: of an
// algorithm, OWNER/NAME, or of all with "".
func (c *Client) ListMirrors(ctx context.Context, algorithm string, o ListOptions) (*apiv1.List[apiv1.Mirror], error) {
	query := o.query()
	if algorithm != "" {
		query.Set("algorithm", algorithm)
	}
	return list[apiv1.Mirror](ctx, c, path("mirrors"), query)
}

// CreateMirror has tags of another registry become versions of an algorithm.
func (c *Client) CreateMirror(ctx context.Context, wanted apiv1.MirrorCreate) (*apiv1.Mirror, error) {
	return c.mirror(ctx, http.MethodPost, path("mirrors"), wanted)
}

// GetMirror returns a mirror, and what its last poll came to.
func (c *Client) GetMirror(ctx context.Context, id string) (*apiv1.Mirror, error) {
	return c.mirror(ctx, http.MethodGet, path("mirrors", id), nil)
}

// UpdateMirror changes a mirror, or turns it off or on.
func (c *Client) UpdateMirror(ctx context.Context, id string, change apiv1.MirrorUpdate) (*apiv1.Mirror, error) {
	return c.mirror(ctx, http.MethodPatch, path("mirrors", id), change)
}

// PollMirror has a mirror polled now.
func (c *Client) PollMirror(ctx context.Context, id string) (*apiv1.Mirror, error) {
	return c.mirror(ctx, http.MethodPost, path("mirrors", id, "poll"), nil)
}

func (c *Client) mirror(ctx context.Context, method, path string, body any) (*apiv1.Mirror, error) {
	var m apiv1.Mirror
	if _, _, err := c.do(ctx, request{method: method, path: path, body: body, into: &m}); err != nil {
		return nil, err
	}
	return &m, nil
}

// DeleteMirror removes a mirror; its versions stay.
func (c *Client) DeleteMirror(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("mirrors", id)})
	return err
}

// MirrorTags returns the tags that a mirror matches, and what became of them.
func (c *Client) MirrorTags(ctx context.Context, id string) ([]apiv1.MirrorTag, error) {
	var tags apiv1.MirrorTags
	_, _, err := c.do(ctx, request{method: http.MethodGet, path: path("mirrors", id, "tags"), into: &tags})
	return tags.Results, err
}

// CreateMirrorWebhook makes the secret address at which a registry tells a mirror of
// pushes.
func (c *Client) CreateMirrorWebhook(ctx context.Context, id string) (*apiv1.MirrorWebhook, error) {
	var hook apiv1.MirrorWebhook
	if _, _, err := c.do(ctx, request{method: http.MethodPost, path: path("mirrors", id, "webhook"), into: &hook}); err != nil {
		return nil, err
	}
	return &hook, nil
}

// DeleteMirrorWebhook ends the secret address of a mirror.
func (c *Client) DeleteMirrorWebhook(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("mirrors", id, "webhook")})
	return err
}
