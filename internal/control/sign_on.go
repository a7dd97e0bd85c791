package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/signon"
)

// SignIn is a sign-in by a provider under way.
type SignIn struct {
	URL     string // where the browser goes
	State   string // names the sign-in
	Kept    string // sealed: what the browser keeps, and brings back
	Expires time.Time
}

// Callback is what a browser comes back from a provider with.
type Callback = signon.Callback

// flowPlace binds the seal of a sign-in under way.
const flowPlace = "sign_on/flow"

// Providers returns what people sign in by, in the order of the settings.
func (s *Service) Providers() []constellation.Provider {
	var list []constellation.Provider
	for _, p := range s.options.SignOn.All() {
		list = append(list, p.Describe())
	}
	return list
}

// ProviderLabel returns what people call a provider, its name where it is not set up
// any more.
func (s *Service) ProviderLabel(name string) string {
	if p, err := s.options.SignOn.Get(name); err == nil {
		return p.Label()
	}
	return name
}

// BeginSignIn starts a sign-in by a provider, for whoever asks. The browser keeps
// what comes back with it, so that it ends at any server of this database.
func (s *Service) BeginSignIn(ctx context.Context, provider, next string) (*SignIn, error) {
	p, err := s.options.SignOn.Get(provider)
	if err != nil {
		return nil, err
	}
	url, flow, err := p.Begin(ctx, clean(next, 1024))
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(flow)
	if err != nil {
		return nil, fmt.Errorf("encode a sign-in: %w", err)
	}
	kept := base64.RawURLEncoding.EncodeToString(s.options.Sealer.Seal(flowPlace, data))
	return &SignIn{URL: url, State: flow.State, Kept: kept, Expires: flow.Expires}, nil
}

// FinishSignIn returns who comes back from a provider, and where they wanted to go.
// Their account is made, or its role changed, as the provider and the settings say.
// Refusals are in the audit log.
func (s *Service) FinishSignIn(ctx context.Context, provider, kept string, c Callback, address string) (p Principal, next string, err error) {
	from, err := s.options.SignOn.Get(provider)
	if err != nil {
		return Principal{}, "", err
	}
	address = clean(address, 64)
	who, next, err := s.vouch(ctx, from, kept, c)
	var account *constellation.Account
	if err == nil {
		account, err = s.takeIdentity(ctx, from, who, address)
	}
	if err != nil {
		return Principal{}, "", s.noteSignInRefused(ctx, from, who, address, err)
	}
	return Principal{AccountID: account.ID, Username: account.Username, Role: account.Role, Address: address}, next, nil
}

// vouch asks a provider whom it vouches for.
func (s *Service) vouch(ctx context.Context, from *signon.Provider, kept string, c Callback) (*signon.Identity, string, error) {
	flow, ok := s.flow(kept)
	if !ok {
		return nil, "", constellation.Errorf(constellation.KindForbidden, "this answer of %s is not for a sign-in that this browser began, or that took too long; sign in again", from.Label())
	}
	if err := from.Check(flow, c); err != nil {
		return nil, "", err
	}
	first, err := s.db.UseSignIn(ctx, auth.HashKey(flow.State), flow.Expires.Add(time.Hour))
	if err != nil {
		return nil, "", err
	}
	if !first {
		return nil, "", constellation.Errorf(constellation.KindForbidden, "this sign-in by %s was used already; sign in again", from.Label())
	}
	who, err := from.Complete(ctx, flow, c)
	return who, flow.Next, err
}

func (s *Service) flow(kept string) (signon.Flow, bool) {
	var f signon.Flow
	sealed, err := base64.RawURLEncoding.DecodeString(kept)
	if err != nil || len(sealed) == 0 {
		return f, false
	}
	data, err := s.options.Sealer.Open(flowPlace, sealed)
	return f, err == nil && json.Unmarshal(data, &f) == nil
}

type signInView struct {
	Provider string `json:"provider"`
	Subject  string `json:"subject,omitempty"`
	Because  string `json:"because,omitempty"`
}

// noteSignInRefused puts a refused sign-in in the audit log, and returns why it was.
func (s *Service) noteSignInRefused(ctx context.Context, from *signon.Provider, who *signon.Identity, address string, why error) error {
	kind := constellation.KindOf(why)
	if kind == constellation.KindInternal || kind == constellation.KindUnavailable {
		return why
	}
	view, name := signInView{Provider: from.Name(), Because: messageOf(why)}, from.Label()
	if who != nil {
		view.Subject, name = who.Subject, who.Username
	}
	if err := s.audit(ctx, Principal{Username: name, Address: address}, "account.login_failed", target{"account", "", name}, nil, view); err != nil {
		return err
	}
	return why
}

// takeIdentity returns the account of whom a provider vouches for.
func (s *Service) takeIdentity(ctx context.Context, from *signon.Provider, who *signon.Identity, address string) (*constellation.Account, error) {
	var account *constellation.Account
	err := s.transact(ctx, func(s *Service) error {
		if err := s.db.Lock(ctx, accountsLock); err != nil {
			return err
		}
		var err error
		if account, err = s.db.SignOnAccount(ctx, who.Issuer, who.Subject); err != nil {
			return err
		}
		p := Principal{Username: who.Username, Address: address}
		if account == nil {
			account, err = s.admitIdentity(ctx, p, from, who)
		}
		if err != nil {
			return err
		}
		if account.Disabled {
			return errDisabled(account.Username)
		}
		return s.confirm(ctx, p, from, account, who)
	})
	return account, err
}

// admitIdentity returns the account that somebody gets at the first sign-in: a new
// one, or one that waits for them. An account that signs in otherwise is nobody's to
// take.
func (s *Service) admitIdentity(ctx context.Context, p Principal, from *signon.Provider, who *signon.Identity) (*constellation.Account, error) {
	account, err := s.account(ctx, who.Username)
	switch {
	case err == nil:
		waits, err := s.db.SignOnOf(ctx, account.ID)
		if err != nil {
			return nil, err
		}
		if waits == nil || waits.Provider != from.Name() || waits.Subject != "" {
			return nil, constellation.Errorf(constellation.KindConflict,
				"%s calls you %s, and here that is an account that does not sign in as you do; an admin can let it sign in by %s, on its page or with PATCH /v1/users/%s", from.Label(), account.Username, from.Label(), account.Username)
		}
		return account, nil
	case constellation.KindOf(err) != constellation.KindNotFound:
		return nil, err
	case !from.SignUp():
		return nil, constellation.Errorf(constellation.KindForbidden, "%s knows you as %s, and nobody invited that user here; ask an admin", from.Label(), who.Username)
	}
	return s.addAccount(ctx, p, NewAccount{Username: who.Username, Role: who.Role, Provider: from.Name()}, "")
}

// confirm stores that a provider vouches for an account, with the role that it gives.
func (s *Service) confirm(ctx context.Context, p Principal, from *signon.Provider, account *constellation.Account, who *signon.Identity) error {
	before, now := *account, s.now()
	account.Provider, account.Role = from.Name(), who.Role
	if p.Username != constellation.ActorSystem {
		p.Username = account.Username // as it is written here
	}
	if account.Role != before.Role || account.Provider != before.Provider {
		account.UpdatedAt = now
		if err := s.db.UpdateAccount(ctx, account); err != nil {
			return err
		}
		if err := s.audit(ctx, p, "account.update", accountTarget(account), viewAccount(&before), viewAccount(account)); err != nil {
			return err
		}
	}
	good := now.Add(from.Grace())
	return s.db.StoreSignOn(ctx, &postgres.SignOn{
		AccountID: account.ID, Provider: from.Name(), Issuer: who.Issuer, Subject: who.Subject, GoodUntil: &good,
		RefreshToken: s.sealToken(refreshPlace(account.ID), who.RefreshToken), IDToken: s.sealToken(idTokenPlace(account.ID), who.IDToken),
	}, now.Add(from.Refresh()))
}

func refreshPlace(accountID string) string { return "sign_ons/" + accountID + "/refresh_token" }
func idTokenPlace(accountID string) string { return "sign_ons/" + accountID + "/id_token" }

// sealToken returns nil for no token.
func (s *Service) sealToken(place, token string) []byte {
	if token == "" {
		return nil
	}
	return s.options.Sealer.Seal(place, []byte(token))
}

// vouched returns nil while an account's provider vouches for it, or where it has
// none.
func (s *Service) vouched(username string, state postgres.SignOnState, now time.Time) error {
	label := state.Provider
	if label != "" {
		label = s.ProviderLabel(label)
	}
	switch {
	case label == "":
		return nil
	case state.EndedAt != nil:
		return constellation.Errorf(constellation.KindUnauthenticated, "%s does not vouch for %s any more, since %s; sign in there again", label, username, day(*state.EndedAt))
	case state.GoodUntil == nil:
		return constellation.Errorf(constellation.KindUnauthenticated, "%s has not signed in by %s yet", username, label)
	case !now.Before(*state.GoodUntil):
		return constellation.Errorf(constellation.KindUnauthenticated, "%s could not be asked about %s for too long; sign in again", label, username)
	}
	return nil
}

// SignOutURL returns where the browser of somebody who signed out here signs out at
// their provider too, with what people call that; "" for nowhere.
func (s *Service) SignOutURL(ctx context.Context, p Principal) (label, url string, err error) {
	if p.AccountID == "" {
		return "", "", nil
	}
	on, err := s.db.SignOnOf(ctx, p.AccountID)
	if err != nil || on == nil {
		return "", "", err
	}
	from, err := s.options.SignOn.Get(on.Provider)
	if err != nil {
		return "", "", nil //nolint:nilerr // a provider that is not set up any more has no such address
	}
	hint := ""
	if on.IDToken != nil {
		if plain, err := s.options.Sealer.Open(idTokenPlace(p.AccountID), on.IDToken); err == nil {
			hint = string(plain)
		}
	}
	return from.Label(), from.SignOutURL(hint), nil
}
