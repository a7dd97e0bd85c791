package control

import (
	"context"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/ratelimit"
)

// loginLimit is how failed logins slow the next one down: after free of them,
// a wait that doubles up to most.
type loginLimit struct {
	free int
	most time.Duration
}

// The three counts of login failures. That of a username from everywhere
// waits little: whoever guesses from many addresses is slowed, and the
// account's owner is never locked out.
var (
	limitBoth     = loginLimit{free: 5, most: 15 * time.Minute}
	limitAddress  = loginLimit{free: 30, most: 15 * time.Minute}
	limitUsername = loginLimit{free: 30, most: 20 * time.Second}
)

// failureMemory is how long failures are remembered after the last one.
const failureMemory = time.Hour

// AuthenticatePassword returns who signs in. An unknown username and a wrong
// password sound and last the same. Failures are in the audit log, and after
// a few each makes the next attempt wait: KindRateLimited. A device that the
// account has signed in from (see DeviceToken, "" is none) waits for its own
// failures only, whatever others do from its address.
func (s *Service) AuthenticatePassword(ctx context.Context, username, password, address, device string) (Principal, error) {
	username, address = clean(username, 64), clean(address, 64)
	if username == "" {
		return Principal{}, errWrongLogin()
	}
	account, err := s.account(ctx, username)
	if err != nil && constellation.KindOf(err) != constellation.KindNotFound {
		return Principal{}, err
	}
	from := ratelimit.Network(address)
	if known, ok := s.device(device); ok && account != nil && known.AccountID == account.ID {
		from = devicePlace + known.ID
	}
	return s.checkPassword(ctx, account, username, password, address, from)
}

// checkPassword is AuthenticatePassword, its failures counted as coming from
// from: a network, or a device of the account.
func (s *Service) checkPassword(ctx context.Context, account *constellation.Account, username, password, address, from string) (Principal, error) {
	if err := s.countLogin(ctx, username, from); err != nil {
		return Principal{}, err
	}
	var err error
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
		return Principal{}, errWrongLogin()
	}
	if err := s.db.ClearLoginFailures(ctx, username, from); err != nil {
		return Principal{}, err
	}
	return Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: address}, nil
}

func errWrongLogin() error {
	return constellation.Errorf(constellation.KindUnauthenticated, "the username or the password is wrong")
}

// countLogin counts the attempt as a failure before the password is looked
// at, so that many attempts at once are as slow as one after the other; a
// success takes it back. An attempt that has to wait is not counted.
func (s *Service) countLogin(ctx context.Context, username, from string) error {
	return s.transact(ctx, func(s *Service) error {
		counts, err := s.db.LockLoginFailures(ctx, username, from)
		if err != nil {
			return err
		}
		now, wait := s.now(), time.Duration(0)
		for _, c := range counts {
			if c.Address == "" && strings.HasPrefix(from, devicePlace) {
				continue // what others do elsewhere
			}
			wait = max(wait, limitOf(c).left(c, now))
		}
		if wait > 0 {
			seconds := int((wait + time.Second - 1) / time.Second)
			err := constellation.Errorf(constellation.KindRateLimited, "too many failed logins; try again in %d seconds", seconds)
			err.RetryAfter = wait
			return err
		}
		if err := s.tellThrottled(ctx, counts, username, from); err != nil {
			return err
		}
		return s.db.AddLoginFailure(ctx, username, from, now, now.Add(-failureMemory))
	})
}

func limitOf(c postgres.LoginFailures) loginLimit {
	switch {
	case c.Username == "":
		return limitAddress
	case c.Address == "":
		return limitUsername
	}
	return limitBoth
}

// left is how long the next attempt still waits.
func (l loginLimit) left(c postgres.LoginFailures, now time.Time) time.Duration {
	if c.Failures < l.free || now.Sub(c.LastFailedAt) > failureMemory {
		return 0
	}
	wait := min(time.Second<<min(c.Failures-l.free, 20), l.most)
	return max(0, c.LastFailedAt.Add(wait).Sub(now))
}

// noteLoginFailure puts a failed login in the audit log, whose actor is who
// was claimed to be.
func (s *Service) noteLoginFailure(ctx context.Context, account *constellation.Account, username, address string) error {
	t := target{"account", "", username}
	if account != nil {
		t = accountTarget(account)
	}
	return s.audit(ctx, Principal{Username: username, Address: address}, "account.login_failed", t, nil, nil)
}
