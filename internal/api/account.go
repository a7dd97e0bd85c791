package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
)

const (
	admin    = constellation.RoleAdmin
	operator = constellation.RoleOperator
	viewer   = constellation.RoleViewer

	// owner is an admin, or the user whom the path names.
	owner constellation.Role = "owner"
)

func (s *server) accountRoutes() {
	add(s, tagAccount, "GET /v1/account", viewer, "getAccount", "Say who this key is", s.getAccount)
}

type accountOutput struct{ Body apiv1.Account }

func (s *server) getAccount(ctx context.Context, _ *struct{}) (*accountOutput, error) {
	p := callOf(ctx).principal
	return &accountOutput{apiv1.Account{Username: p.Username, Role: string(p.Role), KeyID: p.KeyID, SatelliteID: orNull(p.SatelliteID), Scope: orNull(string(p.Scope))}}, nil
}
