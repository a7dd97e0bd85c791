package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/tracing"
)

// keyTouch is how often a key's last use is noted.
const keyTouch = time.Minute

// AuthenticateKey returns who an API key is. KindUnauthenticated reports whether
// the key is malformed, unknown, revoked or expired: who holds the whole key
// may know.
func (s *Service) AuthenticateKey(ctx context.Context, key, address string) (Principal, error) {
	if err := auth.ParseKey(key); err != nil {
		return Principal{}, err
	}
	h, err := s.db.KeyHolder(ctx, auth.HashKey(key))
	if err != nil {
		return Principal{}, err
	}
	tracing.Of(ctx).Set("constellation.key_id", h.ID)
	now := s.now()
	switch {
	case h.RevokedAt != nil:
		return Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "the API key was revoked on %s; use another one", day(*h.RevokedAt))
	case !now.Before(h.ExpiresAt):
		return Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "the API key expired on %s; make a new one", day(h.ExpiresAt))
	case h.AccountDisabled:
		return Principal{}, errDisabled(h.Username)
	}
	if err := s.vouched(h.Username, h.SignOnState, now); err != nil {
		return Principal{}, err
	}
	role := h.Role
	if h.AccountRole.Rank() < role.Rank() {
		role = h.AccountRole
	}
	if h.LastUsedAt == nil || now.Sub(*h.LastUsedAt) >= keyTouch {
		if err := s.db.TouchAPIKey(ctx, h.ID, now, now.Add(-keyTouch)); err != nil {
			s.options.Log.WarnContext(ctx, "note API key use", "key_id", h.ID, "error", err)
		}
	}
	return Principal{
		AccountID: h.AccountID, Username: h.Username, Role: role, KeyID: h.ID, SatelliteID: h.SatelliteID, Scope: h.Scope, Address: address,
	}, nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func errDisabled(username string) error {
	return constellation.Errorf(constellation.KindUnauthenticated, "the account %s is disabled; ask an admin", username)
}
