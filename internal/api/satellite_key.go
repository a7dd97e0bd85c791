package api

import (
	"context"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

type listSatelliteKeysInput struct {
	SatellitePath
	ListInput
}

func (s *server) listSatelliteKeys(ctx context.Context, in *listSatelliteKeysInput) (*listOutput[apiv1.SatelliteKey], error) {
	c := callOf(ctx)
	page, err := c.control.ListSatelliteKeys(ctx, c.principal, in.SatelliteID, in.query())
	if err != nil {
		return nil, err
	}
	return listed(ctx, s, page, wireSatelliteKey)
}

type createSatelliteKeyInput struct {
	SatellitePath
	Body apiv1.SatelliteKeyCreate
}

type satelliteKeyOutput struct{ Body apiv1.SatelliteKeyCreated }

func (s *server) createSatelliteKey(ctx context.Context, in *createSatelliteKeyInput) (*satelliteKeyOutput, error) {
	c := callOf(ctx)
	secret, key, err := c.control.CreateSatelliteKey(ctx, c.principal, in.SatelliteID, control.NewSatelliteKey{
		Name: in.Body.Name, Algorithms: in.Body.Algorithms, Rate: (*constellation.KeyRate)(in.Body.Rate), ExpiresAt: utc(in.Body.ExpiresAt),
		CallbackURL: in.Body.CallbackURL,
	})
	if err != nil {
		return nil, err
	}
	return &satelliteKeyOutput{apiv1.SatelliteKeyCreated{SatelliteKey: wireSatelliteKey(key), Secret: secret}}, nil
}

type satelliteKeyPath struct {
	SatellitePath
	KeyID string `path:"key_id" doc:"The key's id, not the key."`
}

func (s *server) revokeSatelliteKey(ctx context.Context, in *satelliteKeyPath) (*struct{}, error) {
	c := callOf(ctx)
	return nil, c.control.RevokeSatelliteKey(ctx, c.principal, in.SatelliteID, in.KeyID)
}

func wireSatelliteKey(k *constellation.SatelliteKey) apiv1.SatelliteKey {
	return apiv1.SatelliteKey{
		ID: k.ID, Name: k.Name, Prefix: k.Prefix, Algorithms: k.Algorithms, Rate: wireKeyRate(k.Rate), CreatedAt: k.CreatedAt.UTC(), CreatedBy: k.CreatedBy,
		ExpiresAt: utc(k.ExpiresAt), RevokedAt: utc(k.RevokedAt), LastUsedAt: utc(k.LastUsedAt), CallbackURL: k.CallbackURL,
	}
}

// wireKeyRate returns nil for no limit.
func wireKeyRate(r constellation.KeyRate) *apiv1.KeyRate {
	if r.PerSecond == 0 {
		return nil
	}
	return new(apiv1.KeyRate(r))
}
