package control

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/signon"
)

const (
	lookForDue  = 5 * time.Second // how often, at most, due accounts are looked for
	dueAtOnce   = 32
	askParallel = 4
	askLater    = time.Minute // after a provider that did not answer
)

// RunSignOn asks providers again about the people who are signed in by them or have
// API keys, until ctx ends. Servers of one database share the work.
func (s *Service) RunSignOn(ctx context.Context) {
	if len(s.options.SignOn.All()) == 0 {
		return
	}
	every := lookForDue
	for _, p := range s.options.SignOn.All() {
		every = min(every, max(p.Refresh()/4, 100*time.Millisecond))
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := s.RefreshSignOns(ctx); err != nil && ctx.Err() == nil {
			s.options.Log.ErrorContext(ctx, "ask providers about people", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// RefreshSignOns asks providers once about everybody who is due.
func (s *Service) RefreshSignOns(ctx context.Context) error {
	var names []string
	for _, p := range s.options.SignOn.All() {
		names = append(names, p.Name())
	}
	for ctx.Err() == nil {
		now := s.now()
		due, err := s.db.DueSignOns(ctx, names, now, now.Add(askLater), dueAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		var asked errgroup.Group
		asked.SetLimit(askParallel)
		for _, on := range due {
			asked.Go(func() error { return s.refreshSignOn(ctx, on) })
		}
		if err := asked.Wait(); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// refreshSignOn asks about one account. A provider that does not answer changes
// nothing: it is asked again, and what it vouched for last counts for its grace.
func (s *Service) refreshSignOn(ctx context.Context, on postgres.SignOn) error {
	from, err := s.options.SignOn.Get(on.Provider)
	if err != nil {
		return nil //nolint:nilerr // not set up any more: its grace ends
	}
	token, err := s.options.Sealer.Open(refreshPlace(on.AccountID), on.RefreshToken)
	if err != nil {
		return s.endSignOn(ctx, on, from, "what the mothership kept to ask by cannot be opened: its key file was replaced")
	}
	who, err := from.Ask(ctx, string(token), on.Subject)
	switch {
	case err == nil:
		return s.takeRefresh(ctx, on, from, who)
	case constellation.KindOf(err) == constellation.KindForbidden:
		s.options.Log.InfoContext(ctx, "a provider does not vouch for somebody any more", "provider", from.Name(), "subject", on.Subject, "error", err)
		return s.endSignOn(ctx, on, from, messageOf(err))
	case ctx.Err() == nil:
		s.options.Log.WarnContext(ctx, "a provider could not be asked about somebody", "provider", from.Name(), "subject", on.Subject, "good_until", on.GoodUntil, "error", err)
	}
	return nil
}

// messageOf returns the sentence of an error for people.
func messageOf(err error) string {
	if e, ok := errors.AsType[*constellation.Error](err); ok {
		return e.Message
	}
	return ""
}

// same reports whether an account still signs in as it did when its provider was
// asked, and holds that until the transaction ends.
func (s *Service) same(ctx context.Context, on postgres.SignOn) (bool, error) {
	now, err := s.db.LockSignOn(ctx, on.AccountID)
	if err != nil || now == nil {
		return false, err
	}
	return now.Issuer == on.Issuer && now.Subject == on.Subject && string(now.RefreshToken) == string(on.RefreshToken), nil
}

func (s *Service) takeRefresh(ctx context.Context, on postgres.SignOn, from *signon.Provider, who *signon.Identity) error {
	return s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, accountsLock); err != nil {
			return err
		}
		account, err := s.db.SignOnAccount(ctx, on.Issuer, on.Subject)
		if err != nil || account == nil {
			return err
		}
		if same, err := s.same(ctx, on); err != nil || !same {
			return err
		}
		return s.confirm(ctx, Principal{Username: constellation.ActorSystem}, from, account, who)
	})
}

// endSignOn signs somebody out whom a provider does not vouch for any more. Their API
// keys stop until they sign in again.
func (s *Service) endSignOn(ctx context.Context, on postgres.SignOn, from *signon.Provider, because string) error {
	return s.transact(ctx, func(s *Service) error {
		account, err := s.db.SignOnAccount(ctx, on.Issuer, on.Subject)
		if err != nil || account == nil {
			return err
		}
		if same, err := s.same(ctx, on); err != nil || !same { // signed in again meanwhile
			return err
		}
		if err := s.db.EndSignOn(ctx, on.AccountID, because, s.now()); err != nil {
			return err
		}
		if err := s.db.DeleteSessions(ctx, on.AccountID); err != nil {
			return err
		}
		return s.audit(ctx, Principal{Username: constellation.ActorSystem}, "account.sign_on_ended", accountTarget(account), nil,
			signInView{Provider: from.Name(), Subject: on.Subject, Because: because})
	})
}
