package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/control"
)

func (s *server) systemRoutes() {
	add(s, tagSystem, "GET /v1/system", admin, "getSystem", "Say what this mothership is, and which key signs its launches", s.getSystem)
	add(s, tagSystem, "GET /v1/system/usage", admin, "getSystemUsage", "Say what the registry takes, by owner and repository, and what could be freed", s.getUsage)
	add(s, tagSystem, "GET /v1/system/usage/owners", admin, "listOwnerUsage", "List what owners' repositories take, and may take", s.listOwnerUsage)
	add(s, tagSystem, "GET /v1/system/usage/repositories", admin, "listRepositoryUsage", "List what repositories take", s.listRepositoryUsage)
	add(s, tagSystem, "POST /v1/system/collections", admin, "startCollection", "Free what nothing needs of the registry's storage, in the background", s.startCollection)
	s.spaceRuleRoutes()
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
		SigningKey: wireSigningKey(m.SigningKey),
	}}, nil
}

func wireSigningKey(k control.SigningKey) apiv1.SigningKey {
	wire := apiv1.SigningKey{ID: k.ID, Fingerprint: k.Fingerprint, PublicKey: k.PublicKey, Since: utc(k.Since), Earlier: make([]apiv1.EarlierSigningKey, len(k.Earlier))}
	for i, e := range k.Earlier {
		wire.Earlier[i] = apiv1.EarlierSigningKey{ID: e.ID, Fingerprint: e.Fingerprint, ReplacedAt: e.ReplacedAt.UTC(), ReplacedBy: e.ReplacedBy, AcceptedUntil: e.AcceptedUntil.UTC(), Revoked: e.Revoked}
	}
	return wire
}
