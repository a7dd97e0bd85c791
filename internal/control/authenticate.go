package control

import (
	"context"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// How failed logins slow the next one down: after freeFailures in a row from
// one address, a wait that doubles up to maxWait; failures are forgotten
// after failureMemory without one.
const (
	freeFailures  = 5
	maxWait       = 15 * time.Minute
	failureMemory = time.Hour
)

// keyTouch is how often a key's last use is noted.
const keyTouch = time.Minute

// AuthenticateKey gives who an API key is. KindUnauthenticated says whether
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
	now := s.now()
	switch {
	case h.RevokedAt != nil:
		return Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "the API key was revoked on %s; use another one", day(*h.RevokedAt))
	case !now.Before(h.ExpiresAt):
		return Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "the API key expired on %s; make a new one", day(h.ExpiresAt))
	case h.AccountDisabled:
		return Principal{}, errDisabled(h.Username)
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
		AccountID: h.AccountID, Username: h.Username, Role: role, KeyID: h.ID, SatelliteID: h.SatelliteID, Address: address,
	}, nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func errDisabled(username string) error {
	return constellation.Errorf(constellation.KindUnauthenticated, "the account %s is disabled; ask an admin", username)
}

// AuthenticatePassword gives who signs in. An unknown username and a wrong
// password sound and last the same. Failures are in the audit log, and after
// a few each makes the next attempt wait: KindRateLimited.
func (s *Service) AuthenticatePassword(ctx context.Context, username, password, address string) (Principal, error) {
	username, address = clean(username, 64), clean(address, 64)
	if err := s.checkLoginRate(ctx, username, address); err != nil {
		return Principal{}, err
	}
	account, err := s.account(ctx, username)
	if err != nil && constellation.KindOf(err) != constellation.KindNotFound {
		return Principal{}, err
	}
	hash := ""
	if account != nil {
		if hash, err = s.db.PasswordHash(ctx, account.ID); err != nil {
			return Principal{}, err
		}
	}
	if len(password) > 256 { // no password of ours; not worth hashing
		password = ""
	}
	ok, err := s.memory.passwords.Verify(ctx, hash, password)
	if err != nil {
		return Principal{}, err
	}
	if !ok || account.Disabled {
		if err := s.noteLoginFailure(ctx, account, username, address); err != nil {
			return Principal{}, err
		}
		if ok {
			return Principal{}, errDisabled(account.Username)
		}
		return Principal{}, constellation.Errorf(constellation.KindUnauthenticated, "the username or the password is wrong")
	}
	if err := s.db.ClearLoginFailures(ctx, username, address); err != nil {
		return Principal{}, err
	}
	return Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: address}, nil
}

func (s *Service) checkLoginRate(ctx context.Context, username, address string) error {
	failures, last, err := s.db.LoginFailures(ctx, username, address)
	if err != nil || failures < freeFailures {
		return err
	}
	wait := min(time.Second<<min(failures-freeFailures, 20), maxWait)
	left := last.Add(wait).Sub(s.now())
	if left <= 0 || s.now().Sub(last) > failureMemory {
		return nil
	}
	seconds := int((left + time.Second - 1) / time.Second)
	return constellation.Errorf(constellation.KindRateLimited, "too many failed logins; try again in %d seconds", seconds)
}

// noteLoginFailure counts a failure and puts it in the audit log, whose actor
// is who was claimed to be.
func (s *Service) noteLoginFailure(ctx context.Context, account *constellation.Account, username, address string) error {
	t := target{"account", "", username}
	if account != nil {
		t = accountTarget(account)
	}
	return s.transact(ctx, func(s *Service) error {
		now := s.now()
		if err := s.db.AddLoginFailure(ctx, username, address, now, now.Add(-failureMemory)); err != nil {
			return err
		}
		return s.audit(ctx, Principal{Username: username, Address: address}, "account.login_failed", t, nil, nil)
	})
}
