package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
)

func (s *server) systemRoutes() {
	add(s, tagSystem, "GET /v1/system", admin, "getSystem", "Say what this mothership is, and which key signs its launches", s.getSystem)
	add(s, tagSystem, "GET /v1/system/usage", admin, "getSystemUsage", "Say what the registry takes, by owner and repository, and what could be freed", s.getUsage)
	add(s, tagSystem, "POST /v1/system/collections", admin, "startCollection", "Free what nothing needs of the registry's storage, in the background", s.startCollection)
}

type systemOutput struct{ Body apiv1.System }

func (s *server) getSystem(ctx context.Context, _ *struct{}) (*systemOutput, error) {
	c := callOf(ctx)
	m, err := c.control.System(ctx, c.principal)
	if err != nil {
		return nil, err
	}
	return &systemOutput{apiv1.System{
		Version: m.Version, GoVersion: m.Go, Platform: m.Platform, StartedAt: m.StartedAt.UTC(),
		SigningKey: apiv1.SigningKey{ID: m.SigningKey.ID, Fingerprint: m.SigningKey.Fingerprint, PublicKey: m.SigningKey.PublicKey},
	}}, nil
}
