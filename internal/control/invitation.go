package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// invitationLifetime is how long a link to choose a password is good.
const invitationLifetime = 7 * 24 * time.Hour

// Invitation is a one-time link by which an account's owner chooses the
// password. The token is given this once.
type Invitation struct {
	Account   *constellation.Account
	Token     string
	ExpiresAt time.Time
}

// InviteAccount adds an account without a password and makes its link; admins
// only.
func (s *Service) InviteAccount(ctx context.Context, p Principal, username string, role constellation.Role) (*Invitation, error) {
	var invitation *Invitation
	err := s.transact(ctx, func(s *Service) error {
		account, err := s.CreateAccount(ctx, p, NewAccount{Username: username, Role: role})
		if err != nil {
			return err
		}
		invitation, err = s.invite(ctx, p, account)
		return err
	})
	return invitation, err
}

// ResetPassword makes a link by which an account's owner chooses a new
// password, in place of any link before; the old password works until then.
func (s *Service) ResetPassword(ctx context.Context, p Principal, username string) (*Invitation, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "resetting a password"); err != nil {
		return nil, err
	}
	var invitation *Invitation
	err := s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, username)
		if err != nil {
			return err
		}
		if account.Disabled {
			return constellation.Errorf(constellation.KindConflict, "the account %s is disabled; enable it first", account.Username)
		}
		if err := s.mayHavePassword(account); err != nil {
			return err
		}
		invitation, err = s.invite(ctx, p, account)
		return err
	})
	return invitation, err
}

func (s *Service) invite(ctx context.Context, p Principal, account *constellation.Account) (*Invitation, error) {
	now := s.now()
	i := &Invitation{Account: account, Token: auth.NewToken(), ExpiresAt: now.Add(invitationLifetime)}
	if err := s.db.SetInvitation(ctx, account.ID, auth.HashKey(i.Token), p.Username, now, i.ExpiresAt); err != nil {
		return nil, err
	}
	return i, s.audit(ctx, p, "account.invite", accountTarget(account), nil, nil)
}

// InvitedAccount returns the account whose link has this token, while it is
// good.
func (s *Service) InvitedAccount(ctx context.Context, token string) (*constellation.Account, error) {
	return s.db.InvitedAccount(ctx, auth.HashKey(token), s.now())
}

// AcceptInvitation stores the password that a link's holder chose, ends the
// account's sessions and uses the link up. A refused password leaves it good.
func (s *Service) AcceptInvitation(ctx context.Context, token, password, address string) (*constellation.Account, error) {
	var v constellation.Validation
	if constellation.CheckPassword(&v, "password", password); v.Err() != nil {
		return nil, v.Err()
	}
	if _, err := s.InvitedAccount(ctx, token); err != nil { // before the work of hashing
		return nil, err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return nil, err
	}
	var account *constellation.Account
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, accountsLock); err != nil {
			return err
		}
		if account, err = s.InvitedAccount(ctx, token); err != nil {
			return err
		}
		if err := s.db.DeleteInvitation(ctx, account.ID); err != nil {
			return err
		}
		p := Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: clean(address, 64)}
		return s.storePassword(ctx, p, account, hash)
	})
	return account, err
}

// ChangePassword replaces one's own password, which needs the old one: an
// open browser is not enough. Every other session ends.
func (s *Service) ChangePassword(ctx context.Context, p Principal, old, password string) error {
	if p.AccountID == "" || p.KeyID != "" {
		return constellation.Errorf(constellation.KindForbidden, "only who signed in with a password changes it")
	}
	var v constellation.Validation
	constellation.CheckPassword(&v, "password", password)
	if err := v.Err(); err != nil {
		return err
	}
	if _, err := s.checkOldPassword(ctx, p, old); err != nil {
		if constellation.KindOf(err) != constellation.KindUnauthenticated {
			return err
		}
		v.Add("current_password", "this is not your password; type the one you sign in with now")
		return v.Err()
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, p.Username)
		if err != nil {
			return err
		}
		return s.storePassword(ctx, p, account, hash)
	})
}

// storePassword ends every session of the account but the one that asks.
func (s *Service) storePassword(ctx context.Context, p Principal, account *constellation.Account, hash string) error {
	before := viewAccount(account)
	account.HasPassword, account.UpdatedAt = true, s.now()
	if err := s.db.SetPasswordHash(ctx, account.ID, hash); err != nil {
		return err
	}
	if err := s.db.UpdateAccount(ctx, account); err != nil {
		return err
	}
	end := s.db.DeleteSessions
	if p.SessionID != "" {
		end = func(ctx context.Context, id string) error { return s.db.DeleteOtherSessions(ctx, id, p.SessionID) }
	}
	if err := end(ctx, account.ID); err != nil {
		return err
	}
	after := viewAccount(account)
	after.PasswordChanged = true
	return s.audit(ctx, p, "account.update", accountTarget(account), before, after)
}
