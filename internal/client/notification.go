package client

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// ListNotificationDestinations lists where people are told.
func (c *Client) ListNotificationDestinations(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.NotificationDestination], error) {
	return list[apiv1.NotificationDestination](ctx, c, path("notifications", "destinations"), o.query())
}

// CreateNotificationDestination adds a destination; the answer's Secret, of a webhook
// that came without one, is shown this once.
func (c *Client) CreateNotificationDestination(ctx context.Context, d apiv1.NotificationDestinationCreate) (*apiv1.NotificationDestinationCreated, error) {
	var created apiv1.NotificationDestinationCreated
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("notifications", "destinations"), body: d, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// UpdateNotificationDestination changes a destination; what is nil stays.
func (c *Client) UpdateNotificationDestination(ctx context.Context, id string, d apiv1.NotificationDestinationUpdate) (*apiv1.NotificationDestination, error) {
	var changed apiv1.NotificationDestination
	_, _, err := c.do(ctx, request{method: http.MethodPatch, path: path("notifications", "destinations", id), body: d, into: &changed})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}

// DeleteNotificationDestination removes a destination.
func (c *Client) DeleteNotificationDestination(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("notifications", "destinations", id)})
	return err
}

// TestNotificationDestination sends a test to a destination; the delivery says what
// became of it: see GetNotificationDelivery.
func (c *Client) TestNotificationDestination(ctx context.Context, id string) (*apiv1.NotificationDelivery, error) {
	return c.delivery(ctx, http.MethodPost, path("notifications", "destinations", id, "test"))
}

// ListNotificationRules lists what is told where.
func (c *Client) ListNotificationRules(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.NotificationRule], error) {
	return list[apiv1.NotificationRule](ctx, c, path("notifications", "rules"), o.query())
}

// CreateNotificationRule makes a rule.
func (c *Client) CreateNotificationRule(ctx context.Context, r apiv1.NotificationRulePut) (*apiv1.NotificationRule, error) {
	var made apiv1.NotificationRule
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("notifications", "rules"), body: r, into: &made})
	if err != nil {
		return nil, err
	}
	return &made, nil
}

// PutNotificationRule makes a rule what it is here, whole.
func (c *Client) PutNotificationRule(ctx context.Context, id string, r apiv1.NotificationRulePut) (*apiv1.NotificationRule, error) {
	var put apiv1.NotificationRule
	_, _, err := c.do(ctx, request{method: http.MethodPut, path: path("notifications", "rules", id), body: r, into: &put})
	if err != nil {
		return nil, err
	}
	return &put, nil
}

// DeleteNotificationRule removes a rule.
func (c *Client) DeleteNotificationRule(ctx context.Context, id string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("notifications", "rules", id)})
	return err
}

// ListNotificationDeliveries lists messages and what became of them, newest first.
func (c *Client) ListNotificationDeliveries(ctx context.Context, o ListOptions) (*apiv1.List[apiv1.NotificationDelivery], error) {
	return list[apiv1.NotificationDelivery](ctx, c, path("notifications", "deliveries"), o.query())
}

// GetNotificationDelivery shows a message and what became of it.
func (c *Client) GetNotificationDelivery(ctx context.Context, id string) (*apiv1.NotificationDelivery, error) {
	return c.delivery(ctx, http.MethodGet, path("notifications", "deliveries", id))
}

// ResendNotificationDelivery sends a message again, under its id.
func (c *Client) ResendNotificationDelivery(ctx context.Context, id string) (*apiv1.NotificationDelivery, error) {
	return c.delivery(ctx, http.MethodPost, path("notifications", "deliveries", id, "resend"))
}

func (c *Client) delivery(ctx context.Context, method, path string) (*apiv1.NotificationDelivery, error) {
	var d apiv1.NotificationDelivery
	if _, _, err := c.do(ctx, request{method: method, path: path, into: &d}); err != nil {
		return nil, err
	}
	return &d, nil
}
