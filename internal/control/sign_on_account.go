package control

import (
	"context"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// checkSignOn adds to v what is wrong with how a new account signs in.
func (s *Service) checkSignOn(v *constellation.Validation, n NewAccount) {
	if n.Kind == constellation.KindService && n.Password != "" {
		v.Add("password", "a service account has no password: it never signs in, and has API keys")
	}
	if n.Provider == "" {
		return
	}
	s.checkProvider(v, n.Provider)
	switch {
	case n.Kind == constellation.KindService:
		v.Add("provider", "a service account never signs in; leave the provider out")
	case n.Password != "":
		v.Add("password", "who signs in by a provider has no password here; leave one of the two out")
	}
}

func (s *Service) checkProvider(v *constellation.Validation, name string) {
	if _, err := s.options.SignOn.Get(name); err != nil {
		v.Add("provider", "there is no sign-in by a provider %q here; the settings of the server name them", clean(name, 40))
	}
}

// checkAccountChange returns what cannot be changed of how an account signs in.
func (s *Service) checkAccountChange(account *constellation.Account, c AccountChange) error {
	var v constellation.Validation
	provider := account.Provider
	if c.Provider != nil {
		if provider = *c.Provider; provider != "" {
			s.checkProvider(&v, provider)
		}
		if account.Kind == constellation.KindService {
			v.Add("provider", "a service account never signs in")
		}
	}
	if c.Role != nil && provider != "" && provider == account.Provider && *c.Role != account.Role {
		v.Add("role", "the role of %s comes from the groups that %s names at each sign-in; change them there", account.Username, s.ProviderLabel(provider))
	}
	if err := v.Err(); err != nil {
		return err
	}
	if c.Password == nil {
		return nil
	}
	changed := *account
	changed.Provider = provider
	return s.mayHavePassword(&changed)
}

// mayHavePassword returns why an account has no password.
func (s *Service) mayHavePassword(account *constellation.Account) error {
	switch {
	case account.Kind == constellation.KindService:
		return constellation.Errorf(constellation.KindConflict, "%s is a service account: it has API keys, and no password", account.Username)
	case account.Provider != "":
		return constellation.Errorf(constellation.KindConflict, "%s signs in by %s and has no password here; let the account sign in by a password first", account.Username, s.ProviderLabel(account.Provider))
	}
	return nil
}

// moveSignOn has an account sign in otherwise than before, and reports whether that
// changed anything. Its password, and a link to choose one, go.
func (s *Service) moveSignOn(ctx context.Context, account *constellation.Account, provider *string) (bool, error) {
	if provider == nil || *provider == account.Provider {
		return false, nil
	}
	account.Provider, account.SignOnEndedAt = *provider, nil
	if *provider == "" {
		return true, s.db.DeleteSignOn(ctx, account.ID)
	}
	account.HasPassword = false
	if err := s.db.SetPasswordHash(ctx, account.ID, ""); err != nil {
		return false, err
	}
	if err := s.db.DeleteInvitation(ctx, account.ID); err != nil {
		return false, err
	}
	return true, s.db.ReserveSignOn(ctx, account.ID, *provider)
}
