package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
)

const (
	sessionLifetime = 12 * time.Hour
	setupLifetime   = time.Hour
	setupLock       = accountsLock // no account appears while set-up looks
	sessionTouch    = time.Minute  // how often a session's last use is noted
)

// CreateSession makes a browser session for who has signed in with a
// password, and returns its token. The login is in the audit log.
func (s *Service) CreateSession(ctx context.Context, p Principal, userAgent string) (token string, expires time.Time, err error) {
	if err := p.may(constellation.RoleViewer, "signing in"); err != nil {
		return "", time.Time{}, err
	}
	if p.AccountID == "" || p.KeyID != "" {
		return "", time.Time{}, constellation.Errorf(constellation.KindForbidden, "a session starts with a username and a password, not with an API key")
	}
	now := s.now()
	token, expires = auth.NewToken(), now.Add(sessionLifetime)
	err = s.transact(ctx, func(s *Service) error {
		err := s.db.InsertSession(ctx, &postgres.Session{
			ID: uuid.NewString(), TokenSHA256: auth.HashKey(token), AccountID: p.AccountID, CreatedAt: now, ExpiresAt: expires,
			Address: clean(p.Address, 64), UserAgent: clean(userAgent, 200),
		})
		if err != nil {
			return err
		}
		return s.audit(ctx, p, "account.login", target{"account", p.AccountID, p.Username}, nil, nil)
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return token, expires, nil
}

// AuthenticateSession returns who a session's token is; KindUnauthenticated
// when it has ended.
func (s *Service) AuthenticateSession(ctx context.Context, token, address string) (Principal, error) {
	now := s.now()
	h, err := s.db.SessionHolder(ctx, auth.HashKey(token), now)
	if err != nil {
		return Principal{}, err
	}
	if h.Disabled {
		return Principal{}, errDisabled(h.Username)
	}
	if err := s.vouched(h.Username, h.SignOnState, now); err != nil {
		return Principal{}, err
	}
	if h.LastSeenAt == nil || now.Sub(*h.LastSeenAt) >= sessionTouch {
		if err := s.db.TouchSession(ctx, h.SessionID, clean(address, 64), now, now.Add(-sessionTouch)); err != nil {
			s.options.Log.WarnContext(ctx, "note session use", "error", err)
		}
	}
	return Principal{AccountID: h.AccountID, Username: h.Username, Role: h.Role, SessionID: h.SessionID, Address: address}, nil
}

// EndSession signs out; a session that has ended already is no error.
func (s *Service) EndSession(ctx context.Context, token string) error {
	return s.db.DeleteSession(ctx, auth.HashKey(token))
}

// Session is a browser's login as its owner sees it.
type Session struct {
	ID                   string
	CreatedAt, ExpiresAt time.Time
	LastSeenAt           *time.Time
	Address, UserAgent   string
	Current              bool // the one that asks
}

// ListSessions returns the newest sessions of an account that have not ended:
// one's own, or any account's for an admin.
func (s *Service) ListSessions(ctx context.Context, p Principal, username string) ([]Session, error) {
	if err := p.mayAccount(username, "listing another account's sessions"); err != nil {
		return nil, err
	}
	account, err := s.account(ctx, username)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Sessions(ctx, account.ID, s.now())
	if err != nil {
		return nil, err
	}
	list := make([]Session, len(rows))
	for i, row := range rows {
		list[i] = Session{
			ID: row.ID, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, LastSeenAt: row.LastSeenAt,
			Address: row.Address, UserAgent: row.UserAgent, Current: row.ID == p.SessionID,
		}
	}
	return list, nil
}

// RevokeSession ends one session of an account; one that has ended already is
// no error.
func (s *Service) RevokeSession(ctx context.Context, p Principal, username, id string) error {
	id, err := parseID("session", id)
	if err != nil {
		return err
	}
	return s.endSessions(ctx, p, username, "session.revoke", func(s *Service, accountID string) error {
		return s.db.DeleteSessionByID(ctx, accountID, id)
	})
}

// EndSessions signs an account out everywhere, the session that asks too.
func (s *Service) EndSessions(ctx context.Context, p Principal, username string) error {
	return s.endSessions(ctx, p, username, "session.revoke_all", func(s *Service, accountID string) error {
		return s.db.DeleteSessions(ctx, accountID)
	})
}

func (s *Service) endSessions(ctx context.Context, p Principal, username, action string, end func(*Service, string) error) error {
	if err := p.mayAccount(username, "ending another account's sessions"); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, username)
		if err != nil {
			return err
		}
		if err := end(s, account.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, action, accountTarget(account), nil, nil)
	})
}

// setupPlace is the place that a set-up token is sealed for.
const setupPlace = "setup_token"

// SetupToken returns the token of the one-time set-up link, and makes it when none
// works: servers that start together all tell the same one. Each call makes it
// work for an hour from then on. Once an account exists it returns "".
func (s *Service) SetupToken(ctx context.Context) (token string, expiresAt time.Time, err error) {
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, setupLock); err != nil {
			return err
		}
		exists, err := s.db.HasAccounts(ctx)
		if err != nil || exists {
			return err
		}
		now := s.now()
		kept, err := s.db.SetupToken(ctx, now)
		if err != nil {
			return err
		}
		token, expiresAt = s.openSetupToken(kept), now.Add(setupLifetime)
		return s.db.SetSetupToken(ctx, postgres.SetupToken{
			TokenSHA256: auth.HashKey(token), Sealed: s.options.Sealer.Seal(setupPlace, []byte(token)), ExpiresAt: expiresAt,
		})
	})
	if err != nil {
		return "", time.Time{}, err
	}
	return token, expiresAt, nil
}

// openSetupToken returns the token that was kept, or a new one: an older release
// keeps none, and leaves what is there when it replaces the token.
func (s *Service) openSetupToken(kept *postgres.SetupToken) string {
	if kept != nil && kept.Sealed != nil {
		token, err := s.options.Sealer.Open(setupPlace, kept.Sealed)
		if err == nil && auth.HashKey(string(token)) == kept.TokenSHA256 {
			return string(token)
		}
	}
	return auth.NewToken()
}

// CheckSetup returns nil while the token of a set-up link can be used.
func (s *Service) CheckSetup(ctx context.Context, token string) error {
	if err := s.refuseSetUp(ctx); err != nil {
		return err
	}
	expires, err := s.db.SetupExpiry(ctx, auth.HashKey(token))
	if err != nil {
		return err
	}
	return s.refuseExpiredSetup(expires)
}

// CompleteSetup makes the first account, an admin, and uses the token up. A
// refused username or password leaves the token good.
func (s *Service) CompleteSetup(ctx context.Context, token, username, password, address string) (*constellation.Account, error) {
	var v constellation.Validation
	constellation.CheckUsername(&v, "username", username)
	constellation.CheckPassword(&v, "password", password)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if err := s.refuseSetUp(ctx); err != nil { // before the work of hashing
		return nil, err
	}
	hash, err := s.hashPassword(ctx, password)
	if err != nil {
		return nil, err
	}
	var account *constellation.Account
	err = s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, setupLock); err != nil {
			return err
		}
		if err := s.refuseSetUp(ctx); err != nil {
			return err
		}
		expires, err := s.db.UseSetupToken(ctx, auth.HashKey(token))
		if err != nil {
			return err
		}
		if err := s.refuseExpiredSetup(expires); err != nil {
			return err
		}
		p := Principal{Username: username, Role: constellation.RoleAdmin, Address: clean(address, 64)}
		account, err = s.addAccount(ctx, p, NewAccount{Username: username, Role: constellation.RoleAdmin}, hash)
		return err
	})
	return account, err
}

func (s *Service) refuseExpiredSetup(expires time.Time) error {
	if s.now().Before(expires) {
		return nil
	}
	return constellation.Errorf(constellation.KindForbidden, "the set-up link has expired; restart the mothership for a new one")
}

func (s *Service) refuseSetUp(ctx context.Context) error {
	exists, err := s.db.HasAccounts(ctx)
	if err != nil || !exists {
		return err
	}
	return constellation.Errorf(constellation.KindConflict, "this mothership is set up already; sign in instead")
}
