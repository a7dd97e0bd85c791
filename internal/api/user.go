package api

import (
	"context"
	"errors"
	"slices"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/httpserve"
)

func (s *server) userRoutes() {
	add(s, tagUsers, "GET /v1/users", admin, "listUsers", "List users", s.listUsers)
	add(s, tagUsers, "POST /v1/users", admin, "createUser", "Make a user", s.createUser)
	add(s, tagUsers, "GET /v1/users/{username}", owner, "getUser", "Show a user", s.getUser)
	add(s, tagUsers, "PATCH /v1/users/{username}", admin, "updateUser", "Change a user's role, password or state", s.updateUser)
	add(s, tagUsers, "DELETE /v1/users/{username}", admin, "deleteUser", "Remove a user and their keys", s.deleteUser)
	add(s, tagUsers, "GET /v1/users/{username}/keys", owner, "listUserKeys", "List a user's API keys", s.listUserKeys)
	add(s, tagUsers, "POST /v1/users/{username}/keys", owner, "createUserKey", "Make an API key, shown once", s.createUserKey)
	add(s, tagUsers, "DELETE /v1/users/{username}/keys/{key_id}", owner, "revokeUserKey", "Revoke an API key", s.revokeUserKey)
}

// UserPath names a user. Huma reads what is embedded only when it is exported.
type UserPath struct {
	Username string `path:"username" doc:"The user's name, ignoring case." example:"neo"`
}

type userOutput struct{ Body apiv1.User }

func (s *server) listUsers(ctx context.Context, in *ListInput) (*listOutput[apiv1.User], error) {
	c := callOf(ctx)
	page, err := c.control.ListAccounts(ctx, c.principal, constellation.KindPerson, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireUser)
}

func (s *server) createUser(ctx context.Context, in *struct{ Body apiv1.UserCreate }) (*userOutput, error) {
	c := callOf(ctx)
	account, err := c.control.CreateAccount(ctx, c.principal, control.NewAccount{
		Username: in.Body.Username, Role: constellation.Role(in.Body.Role), Password: in.Body.Password, Provider: in.Body.Provider,
	})
	if err != nil {
		return nil, usernameReason(err)
	}
	return &userOutput{wireUser(account)}, nil
}

func (s *server) getUser(ctx context.Context, in *UserPath) (*userOutput, error) {
	c := callOf(ctx)
	account, err := c.control.GetAccount(ctx, c.principal, in.Username)
	if err != nil {
		return nil, userReason(err)
	}
	return &userOutput{wireUser(account)}, nil
}

type updateUserInput struct {
	UserPath
	Body apiv1.UserUpdate
}

func (s *server) updateUser(ctx context.Context, in *updateUserInput) (*userOutput, error) {
	c := callOf(ctx)
	account, err := c.control.UpdateAccount(ctx, c.principal, in.Username, control.AccountChange{
		Role: (*constellation.Role)(in.Body.Role), Password: in.Body.Password, Disabled: in.Body.Disabled, Provider: in.Body.Provider,
	})
	if err != nil {
		return nil, userReason(err)
	}
	return &userOutput{wireUser(account)}, nil
}

func (s *server) deleteUser(ctx context.Context, in *UserPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, userReason(c.control.DeleteAccount(ctx, c.principal, in.Username))
}

type listUserKeysInput struct {
	UserPath
	ListInput
}

func (s *server) listUserKeys(ctx context.Context, in *listUserKeysInput) (*listOutput[apiv1.Key], error) {
	c := callOf(ctx)
	page, err := c.control.ListKeys(ctx, c.principal, in.Username, in.query())
	if err != nil {
		return nil, userReason(err)
	}
	return listed(ctx, s, page, wireKey)
}

type createUserKeyInput struct {
	UserPath
	Body apiv1.KeyCreate
}

type userKeyOutput struct{ Body apiv1.KeyCreated }

func (s *server) createUserKey(ctx context.Context, in *createUserKeyInput) (*userKeyOutput, error) {
	c := callOf(ctx)
	secret, key, err := c.control.CreateKey(ctx, c.principal, in.Username, control.NewKey{
		Name: in.Body.Name, Role: (*constellation.Role)(in.Body.Role), SatelliteID: in.Body.SatelliteID, Scope: in.Body.Scope, ExpiresAt: utc(in.Body.ExpiresAt),
	})
	if err != nil {
		return nil, userReason(err)
	}
	return &userKeyOutput{apiv1.KeyCreated{Key: wireKey(key), Secret: secret}}, nil
}

type userKeyPath struct {
	UserPath
	KeyID string `path:"key_id" doc:"The key's id, not the key."`
}

func (s *server) revokeUserKey(ctx context.Context, in *userKeyPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, userReason(c.control.RevokeKey(ctx, c.principal, in.Username, in.KeyID))
}

func wireUser(a *constellation.Account) apiv1.User {
	return apiv1.User{
		Username: a.Username, Role: string(a.Role), HasPassword: a.HasPassword, Disabled: a.Disabled,
		Provider: orNull(a.Provider), SignOnEndedAt: utc(a.SignOnEndedAt),
		CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
}

func wireKey(k *constellation.APIKey) apiv1.Key {
	return apiv1.Key{
		ID: k.ID, Username: k.Username, Name: k.Name, Prefix: k.Prefix, Role: string(k.Role), SatelliteID: orNull(k.SatelliteID), Scope: orNull(string(k.Scope)),
		CreatedAt: k.CreatedAt.UTC(), ExpiresAt: k.ExpiresAt.UTC(), LastUsedAt: utc(k.LastUsedAt), RevokedAt: utc(k.RevokedAt),
	}
}

// userReason sets the reason of a user who is not there.
func userReason(err error) error {
	if errors.Is(err, control.ErrNoAccount) {
		return httpserve.WithReason(err, apiv1.ReasonUserNotFound)
	}
	return err
}

// usernameReason sets the reason of a username that is taken. Other
// conflicts keep theirs.
func usernameReason(err error) error {
	var e *constellation.Error
	if errors.As(err, &e) && e.Kind == constellation.KindConflict && slices.ContainsFunc(e.Fields, func(f constellation.FieldError) bool { return f.Field == "username" }) {
		return httpserve.WithReason(err, apiv1.ReasonUsernameTaken)
	}
	return err
}
