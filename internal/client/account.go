package client

import (
	"context"
	"net/http"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

// Account returns who the client's key is.
func (c *Client) Account(ctx context.Context) (*apiv1.Account, error) {
	var account apiv1.Account
	_, _, err := c.do(ctx, request{method: http.MethodGet, path: path("account"), into: &account})
	if err != nil {
		return nil, err
	}
	return &account, nil
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, user apiv1.UserCreate) (*apiv1.User, error) {
	var created apiv1.User
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("users"), body: user, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// CreateKey makes an API key of a user; the answer's Secret is shown this once.
func (c *Client) CreateKey(ctx context.Context, username string, key apiv1.KeyCreate) (*apiv1.KeyCreated, error) {
	var created apiv1.KeyCreated
	_, _, err := c.do(ctx, request{method: http.MethodPost, path: path("users", username, "keys"), body: key, into: &created})
	if err != nil {
		return nil, err
	}
	return &created, nil
}

// RevokeKey stops a user's API key.
func (c *Client) RevokeKey(ctx context.Context, username, keyID string) error {
	_, _, err := c.do(ctx, request{method: http.MethodDelete, path: path("users", username, "keys", keyID)})
	return err
}
