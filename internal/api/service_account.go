package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) serviceAccountRoutes() {
	add(s, tagServices, "GET /v1/service-accounts", admin, "listServiceAccounts", "List service accounts", s.listServiceAccounts)
	add(s, tagServices, "POST /v1/service-accounts", admin, "createServiceAccount", "Make a service account, which has API keys and never signs in", s.createServiceAccount)
	add(s, tagServices, "GET /v1/service-accounts/{account}", admin, "getServiceAccount", "Show a service account", s.getServiceAccount)
	add(s, tagServices, "PATCH /v1/service-accounts/{account}", admin, "updateServiceAccount", "Change a service account's role or state", s.updateServiceAccount)
	add(s, tagServices, "DELETE /v1/service-accounts/{account}", admin, "deleteServiceAccount", "Remove a service account and its keys", s.deleteServiceAccount)
}

// ServiceAccountPath names a service account. Huma reads what is embedded only when
// it is exported.
type ServiceAccountPath struct {
	Account string `path:"account" doc:"The service account's username, ignoring case. Its keys are at /v1/users/{username}/keys." example:"ci"`
}

type serviceAccountOutput struct{ Body apiv1.ServiceAccount }

func (s *server) listServiceAccounts(ctx context.Context, in *ListInput) (*listOutput[apiv1.ServiceAccount], error) {
	c := callOf(ctx)
	page, err := c.control.ListAccounts(ctx, c.principal, constellation.KindService, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireServiceAccount)
}

func (s *server) createServiceAccount(ctx context.Context, in *struct{ Body apiv1.ServiceAccountCreate }) (*serviceAccountOutput, error) {
	c := callOf(ctx)
	account, err := c.control.CreateAccount(ctx, c.principal, control.NewAccount{
		Username: in.Body.Username, Kind: constellation.KindService, Role: constellation.Role(in.Body.Role),
	})
	if err != nil {
		return nil, usernameReason(err)
	}
	return &serviceAccountOutput{wireServiceAccount(account)}, nil
}

func (s *server) getServiceAccount(ctx context.Context, in *ServiceAccountPath) (*serviceAccountOutput, error) {
	c := callOf(ctx)
	account, err := c.control.GetServiceAccount(ctx, c.principal, in.Account)
	if err != nil {
		return nil, userReason(err)
	}
	return &serviceAccountOutput{wireServiceAccount(account)}, nil
}

type updateServiceAccountInput struct {
	ServiceAccountPath
	Body apiv1.ServiceAccountUpdate
}

func (s *server) updateServiceAccount(ctx context.Context, in *updateServiceAccountInput) (*serviceAccountOutput, error) {
	c := callOf(ctx)
	account, err := c.control.UpdateServiceAccount(ctx, c.principal, in.Account, control.AccountChange{
		Role: (*constellation.Role)(in.Body.Role), Disabled: in.Body.Disabled,
	})
	if err != nil {
		return nil, userReason(err)
	}
	return &serviceAccountOutput{wireServiceAccount(account)}, nil
}

func (s *server) deleteServiceAccount(ctx context.Context, in *ServiceAccountPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, userReason(c.control.DeleteServiceAccount(ctx, c.principal, in.Account))
}

func wireServiceAccount(a *constellation.Account) apiv1.ServiceAccount {
	return apiv1.ServiceAccount{Username: a.Username, Role: string(a.Role), Disabled: a.Disabled, CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC()}
}
