package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewSatelliteKey is what CreateSatelliteKey needs; ExpiresAt nil never does.
// Algorithms are the vanity URLs that the key may call; none: all.
type NewSatelliteKey struct {
	Name       string
	Algorithms []string
	Rate       constellation.KeyRate
	ExpiresAt  *time.Time
}

var satelliteKeyListing = listing[constellation.SatelliteKey]{
	name: "satellite_keys", fallback: "name",
	sorts: map[string]sortKey[constellation.SatelliteKey]{
		"name":       byText(func(k *constellation.SatelliteKey) string { return constellation.Fold(k.Name) }),
		"created_at": byTime(func(k *constellation.SatelliteKey) time.Time { return k.CreatedAt }),
	},
	id: byUUID(func(k *constellation.SatelliteKey) string { return k.ID }),
}

// ListSatelliteKeys gives a page of the keys that may call a satellite's
// algorithms, by name or created_at.
func (s *Service) ListSatelliteKeys(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteKey], error) {
	list, err := satelliteKeyListing.parse(q)
	if err != nil {
		return Page[constellation.SatelliteKey]{}, err
	}
	satellite, err := s.satellite(ctx, p, constellation.RoleViewer, id, "listing a satellite's keys")
	if err != nil {
		return Page[constellation.SatelliteKey]{}, err
	}
	rows, err := s.db.SatelliteKeys(ctx, satellite.ID, list)
	return satelliteKeyListing.page(list, rows), err
}

// CreateSatelliteKey makes a key that may call a satellite's algorithms, and
// gives it, this once. It works once a bundle with it is deployed.
func (s *Service) CreateSatelliteKey(ctx context.Context, p Principal, id string, n NewSatelliteKey) (string, *constellation.SatelliteKey, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleAdmin, id, "creating a satellite's key")
	if err != nil {
		return "", nil, err
	}
	now := s.now()
	var v constellation.Validation
	constellation.CheckDisplayName(&v, "name", "a key", n.Name)
	constellation.CheckKeyAlgorithms(&v, "algorithms", n.Algorithms)
	constellation.CheckKeyRate(&v, "rate", n.Rate)
	checkExpiry(&v, n.ExpiresAt, now)
	if err := v.Err(); err != nil {
		return "", nil, err
	}
	secret := auth.NewKey()
	key := &constellation.SatelliteKey{
		ID: uuid.NewString(), Name: n.Name, Prefix: auth.Prefix(secret), SHA256: auth.HashKey(secret),
		Algorithms: append([]string{}, n.Algorithms...), Rate: n.Rate,
		CreatedAt: now, CreatedBy: p.Username,
	}
	if n.ExpiresAt != nil {
		expires := n.ExpiresAt.UTC().Truncate(time.Microsecond)
		key.ExpiresAt = &expires
	}
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.InsertSatelliteKey(ctx, satellite.ID, key); err != nil {
			return err
		}
		return s.audit(ctx, p, "satellite_key.create", target{"satellite_key", key.ID, key.Name}, nil, viewSatelliteKey(satellite.ID, key))
	})
	if err != nil {
		return "", nil, err
	}
	return secret, key, nil
}

// RevokeSatelliteKey takes a key out of the satellite's bundles; a revoked
// one stays so.
func (s *Service) RevokeSatelliteKey(ctx context.Context, p Principal, id, keyID string) error {
	satellite, err := s.satellite(ctx, p, constellation.RoleAdmin, id, "revoking a satellite's key")
	if err != nil {
		return err
	}
	keyID, err = parseID("key", keyID)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		key, err := s.db.SatelliteKey(ctx, satellite.ID, keyID)
		if err != nil || key.RevokedAt != nil {
			return err
		}
		before, now := viewSatelliteKey(satellite.ID, key), s.now()
		if err := s.db.RevokeSatelliteKey(ctx, key.ID, now); err != nil {
			return err
		}
		key.RevokedAt = &now
		return s.audit(ctx, p, "satellite_key.revoke", target{"satellite_key", key.ID, key.Name}, before, viewSatelliteKey(satellite.ID, key))
	})
}
