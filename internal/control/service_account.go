package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// GetServiceAccount returns a service account; a person's is none. Admins only.
func (s *Service) GetServiceAccount(ctx context.Context, p Principal, username string) (*constellation.Account, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a service account"); err != nil {
		return nil, err
	}
	account, err := s.account(ctx, username)
	if err == nil && account.Kind != constellation.KindService {
		return nil, constellation.Wrap(ErrNoAccount, constellation.KindNotFound, "%s is a person's account and no service account", account.Username)
	}
	return account, err
}

// UpdateServiceAccount is UpdateAccount of a service account.
func (s *Service) UpdateServiceAccount(ctx context.Context, p Principal, username string, c AccountChange) (*constellation.Account, error) {
	if _, err := s.GetServiceAccount(ctx, p, username); err != nil { // whose kind never changes
		return nil, err
	}
	return s.UpdateAccount(ctx, p, username, c)
}

// DeleteServiceAccount is DeleteAccount of a service account.
func (s *Service) DeleteServiceAccount(ctx context.Context, p Principal, username string) error {
	if _, err := s.GetServiceAccount(ctx, p, username); err != nil {
		return err
	}
	return s.DeleteAccount(ctx, p, username)
}
