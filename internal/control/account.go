package control

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewAccount is what CreateAccount needs; Password may be "".
type NewAccount struct {
	Username string
	Kind     constellation.AccountKind // "" is a person
	Role     constellation.Role
	Password string
	Provider string // by which the person signs in, in place of a password; "" is none
}

// AccountChange is what UpdateAccount changes; nil leaves a field alone.
type AccountChange struct {
	Role     *constellation.Role
	Password *string
	Disabled *bool
	Provider *string // by which the person signs in from now on; "" is by a password
}

// accountsLock is held by every change of accounts, so that two admins cannot
// take away each other's role at once.
const accountsLock = "accounts"

var accountListing = listing[constellation.Account]{
	name: "accounts", fallback: "name",
	sorts: map[string]sortKey[constellation.Account]{
		"name":       byText(func(a *constellation.Account) string { return constellation.Fold(a.Username) }),
		"created_at": byTime(func(a *constellation.Account) time.Time { return a.CreatedAt }),
	},
	id: byUUID(func(a *constellation.Account) string { return a.ID }),
}

// ListAccounts returns a page of accounts of a kind, "" for all, by name or
// created_at; admins only.
func (s *Service) ListAccounts(ctx context.Context, p Principal, kind constellation.AccountKind, q ListQuery) (Page[constellation.Account], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing accounts"); err != nil {
		return Page[constellation.Account]{}, err
	}
	list, err := accountListing.parse(q, string(kind))
	if err != nil {
		return Page[constellation.Account]{}, err
	}
	rows, err := s.db.Accounts(ctx, kind, list)
	return accountListing.page(list, rows), err
}

// CreateAccount adds an account; a person without a password and a provider has API
// keys only, as a service has.
func (s *Service) CreateAccount(ctx context.Context, p Principal, n NewAccount) (*constellation.Account, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "creating an account"); err != nil {
		return nil, err
	}
	var v constellation.Validation
	constellation.CheckUsername(&v, "username", n.Username)
	constellation.CheckRole(&v, "role", n.Role)
	if n.Password != "" {
		constellation.CheckPassword(&v, "password", n.Password)
	}
	s.checkSignOn(&v, n)
	if err := v.Err(); err != nil {
		return nil, err
	}
	hash, err := s.hashPassword(ctx, n.Password)
	if err != nil {
		return nil, err
	}
	var account *constellation.Account
	err = s.transact(ctx, func(s *Service) error {
		account, err = s.addAccount(ctx, p, n, hash)
		return err
	})
	return account, err
}

// addAccount stores a checked account with its audit row.
func (s *Service) addAccount(ctx context.Context, p Principal, n NewAccount, hash string) (*constellation.Account, error) {
	now := s.now()
	account := &constellation.Account{
		ID: uuid.NewString(), Username: n.Username, Kind: n.Kind, Role: n.Role, HasPassword: hash != "", Provider: n.Provider, CreatedAt: now, UpdatedAt: now,
	}
	if account.Kind == "" {
		account.Kind = constellation.KindPerson
	}
	if err := s.db.Lock(ctx, accountsLock); err != nil {
		return nil, err
	}
	if err := s.db.InsertAccount(ctx, account, hash); err != nil {
		return nil, err
	}
	if n.Provider != "" {
		if err := s.db.ReserveSignOn(ctx, account.ID, n.Provider); err != nil {
			return nil, err
		}
	}
	return account, s.audit(ctx, p, "account.create", accountTarget(account), nil, viewAccount(account))
}

func accountTarget(a *constellation.Account) target { return target{"account", a.ID, a.Username} }

// hashPassword returns "" for no password.
func (s *Service) hashPassword(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	return s.memory.passwords.Hash(ctx, password)
}

// GetAccount returns an account: one's own, or any for an admin.
func (s *Service) GetAccount(ctx context.Context, p Principal, username string) (*constellation.Account, error) {
	if err := p.mayAccount(username, "reading another account"); err != nil {
		return nil, err
	}
	return s.account(ctx, username)
}

// ErrNoAccount is in the chain of an error that is about an account which does not
// exist, and not about something of it.
var ErrNoAccount = errors.New("no such account")

// account finds an account by a name from outside.
func (s *Service) account(ctx context.Context, username string) (*constellation.Account, error) {
	var v constellation.Validation
	if constellation.CheckUsername(&v, "username", username); v.Err() != nil {
		return nil, noAccount(username)
	}
	account, err := s.db.Account(ctx, username)
	if constellation.KindOf(err) == constellation.KindNotFound {
		return nil, noAccount(username)
	}
	return account, err
}

func noAccount(username string) error {
	return constellation.Wrap(ErrNoAccount, constellation.KindNotFound, "there is no account %q", clean(username, 63))
}

// UpdateAccount changes role, password, provider or whether an account is
// disabled. A new password, another provider and being disabled end its
// sessions. The last enabled admin who needs no provider stays one.
func (s *Service) UpdateAccount(ctx context.Context, p Principal, username string, c AccountChange) (*constellation.Account, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "changing an account"); err != nil {
		return nil, err
	}
	var v constellation.Validation
	var hash string
	if c.Role != nil {
		constellation.CheckRole(&v, "role", *c.Role)
	}
	if c.Password != nil {
		constellation.CheckPassword(&v, "password", *c.Password)
	}
	err := v.Err()
	if err == nil && c.Password != nil {
		hash, err = s.hashPassword(ctx, *c.Password)
	}
	if err != nil {
		return nil, err
	}
	var account *constellation.Account
	err = s.transact(ctx, func(s *Service) error {
		account, err = s.changeAccount(ctx, p, username, c, hash)
		return err
	})
	return account, err
}

func (s *Service) changeAccount(ctx context.Context, p Principal, username string, c AccountChange, hash string) (*constellation.Account, error) {
	if err := s.db.Lock(ctx, accountsLock); err != nil {
		return nil, err
	}
	account, err := s.account(ctx, username)
	if err != nil {
		return nil, err
	}
	before := *account
	if err := s.checkAccountChange(account, c); err != nil {
		return nil, err
	}
	if c.Role != nil {
		account.Role = *c.Role
	}
	if c.Disabled != nil {
		account.Disabled = *c.Disabled
	}
	account.HasPassword = account.HasPassword || hash != ""
	account.UpdatedAt = s.now()
	moved, err := s.moveSignOn(ctx, account, c.Provider)
	if err != nil {
		return nil, err
	}
	if account.Role != constellation.RoleAdmin || account.Disabled || account.Provider != "" {
		if err := s.keepAnAdmin(ctx, &before); err != nil {
			return nil, err
		}
	}
	if err := s.db.UpdateAccount(ctx, account); err != nil {
		return nil, err
	}
	if hash != "" {
		if err := s.db.SetPasswordHash(ctx, account.ID, hash); err != nil {
			return nil, err
		}
	}
	if hash != "" || account.Disabled || moved {
		if err := s.db.DeleteSessions(ctx, account.ID); err != nil {
			return nil, err
		}
	}
	after := viewAccount(account)
	after.PasswordChanged = hash != ""
	return account, s.audit(ctx, p, "account.update", accountTarget(account), viewAccount(&before), after)
}

// keepAnAdmin refuses when account is the last enabled admin who needs no provider:
// the way in while a provider is away.
func (s *Service) keepAnAdmin(ctx context.Context, account *constellation.Account) error {
	if account.Role != constellation.RoleAdmin || account.Disabled || account.Provider != "" || account.Kind != constellation.KindPerson {
		return nil
	}
	other, err := s.db.HasOtherAdmin(ctx, account.ID)
	if err != nil || other {
		return err
	}
	return constellation.Errorf(constellation.KindConflict, "the account %s is the last enabled admin; make another account an admin first", account.Username)
}

// DeleteAccount removes an account with its keys and sessions; not the last
// enabled admin. What it did stays in the audit log.
func (s *Service) DeleteAccount(ctx context.Context, p Principal, username string) error {
	if err := p.mayEverywhere(constellation.RoleAdmin, "deleting an account"); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, accountsLock); err != nil {
			return err
		}
		account, err := s.account(ctx, username)
		if err != nil {
			return err
		}
		if err := s.keepAnAdmin(ctx, account); err != nil {
			return err
		}
		if err := s.db.DeleteAccount(ctx, account.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "account.delete", accountTarget(account), viewAccount(account), nil)
	})
}
