package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewSatelliteKey is what CreateSatelliteKey needs; ExpiresAt nil never does.
// Algorithms are the vanity URLs that the key may call, Rate how often; nil is
// no limit, and what is empty is refused.
type NewSatelliteKey struct {
	Name       string
	Algorithms []string
	Rate       *constellation.KeyRate
	ExpiresAt  *time.Time
	// CallbackURL is constellation.SatelliteKey's; "": none.
	CallbackURL string
}

var satelliteKeyListing = listing[constellation.SatelliteKey]{
	name: "satellite_keys", fallback: "name",
	sorts: map[string]sortKey[constellation.SatelliteKey]{
		"name":       byText(func(k *constellation.SatelliteKey) string { return constellation.Fold(k.Name) }),
		"created_at": byTime(func(k *constellation.SatelliteKey) time.Time { return k.CreatedAt }),
	},
	id: byUUID(func(k *constellation.SatelliteKey) string { return k.ID }),
}

// ListSatelliteKeys returns a page of the keys that may call a satellite's
// algorithms, by name or created_at.
func (s *Service) ListSatelliteKeys(ctx context.Context, p Principal, id string, q ListQuery) (Page[constellation.SatelliteKey], error) {
	list, err := satelliteKeyListing.parse(q, id)
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
// returns it, this once. It works once a bundle with it is deployed.
func (s *Service) CreateSatelliteKey(ctx context.Context, p Principal, id string, n NewSatelliteKey) (string, *constellation.SatelliteKey, error) {
	satellite, err := s.satellite(ctx, p, constellation.RoleAdmin, id, "creating a satellite's key")
	if err != nil {
		return "", nil, err
	}
	now := s.now()
	var v constellation.Validation
	constellation.CheckDisplayName(&v, "name", "a key", n.Name)
	if err := s.checkKeyLimits(ctx, &v, satellite.ID, n); err != nil {
		return "", nil, err
	}
	checkExpiry(&v, n.ExpiresAt, now)
	if n.CallbackURL != "" {
		constellation.CheckCallbackURL(&v, "callback_url", n.CallbackURL)
	}
	if err := v.Err(); err != nil {
		return "", nil, err
	}
	secret := auth.NewKey()
	key := &constellation.SatelliteKey{
		ID: uuid.NewString(), Name: n.Name, Prefix: auth.Prefix(secret), SHA256: auth.HashKey(secret),
		Algorithms: append([]string{}, n.Algorithms...), CreatedAt: now, CreatedBy: p.Username,
		CallbackURL: n.CallbackURL,
	}
	if n.Rate != nil {
		key.Rate = *n.Rate
	}
	if n.ExpiresAt != nil {
		expires := n.ExpiresAt.UTC().Truncate(time.Microsecond)
		key.ExpiresAt = &expires
	}
	err = s.transact(ctx, func(s *Service) error {
		room, err := s.db.SatelliteKeyRoom(ctx, satellite.ID, now, key)
		if err != nil {
			return err
		}
		if err := room.Check(); err != nil {
			return err
		}
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

// checkKeyLimits adds to v what is wrong with the limits of a key: one that is
// empty, or names what the satellite never had, limits nothing that its maker
// meant.
func (s *Service) checkKeyLimits(ctx context.Context, v *constellation.Validation, satelliteID string, n NewSatelliteKey) error {
	if n.Rate != nil {
		constellation.CheckKeyRate(v, "rate", *n.Rate)
		if *n.Rate == (constellation.KeyRate{}) {
			v.Add("rate.per_second", "a rate is above 0 calls per second; leave rate out for no limit")
		}
	}
	if n.Algorithms == nil {
		return nil
	}
	if len(n.Algorithms) == 0 {
		v.Add("algorithms", "a key without any algorithm could call nothing; name the vanity URLs, or leave algorithms out for all")
		return nil
	}
	before := v.Err()
	constellation.CheckKeyAlgorithms(v, "algorithms", n.Algorithms)
	if v.Err() != nil && before == nil { // what is no vanity URL is not looked for
		return nil
	}
	had, err := s.db.KnownVanityURLs(ctx, satelliteID, n.Algorithms)
	if err != nil {
		return err
	}
	for i, url := range n.Algorithms {
		if !slices.Contains(had, url) {
			v.Add(fmt.Sprintf("algorithms[%d]", i), "no version of this satellite has the vanity URL %q; add it to the satellite first", clean(url, 60))
		}
	}
	return nil
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
