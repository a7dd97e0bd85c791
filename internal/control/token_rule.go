package control

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/signon"
)

// ExchangedLifetime is how long a key lives that a token was exchanged for.
const ExchangedLifetime = time.Hour

var tokenRuleListing = listing[constellation.TokenRule]{
	name: "token_rules", fallback: "name",
	sorts: map[string]sortKey[constellation.TokenRule]{
		"name":       byText(func(r *constellation.TokenRule) string { return constellation.Fold(r.Name) }),
		"created_at": byTime(func(r *constellation.TokenRule) time.Time { return r.CreatedAt }),
	},
	id: byUUID(func(r *constellation.TokenRule) string { return r.ID }),
}

// ListTokenRules returns a page of the rules by which tokens are exchanged for keys;
// admins only.
func (s *Service) ListTokenRules(ctx context.Context, p Principal, q ListQuery) (Page[constellation.TokenRule], error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "listing token rules"); err != nil {
		return Page[constellation.TokenRule]{}, err
	}
	list, err := tokenRuleListing.parse(q)
	if err != nil {
		return Page[constellation.TokenRule]{}, err
	}
	rows, err := s.db.TokenRules(ctx, list)
	return tokenRuleListing.page(list, rows), err
}

// GetTokenRule returns a rule; admins only.
func (s *Service) GetTokenRule(ctx context.Context, p Principal, id string) (*constellation.TokenRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "reading a token rule"); err != nil {
		return nil, err
	}
	id, err := parseID("token rule", id)
	if err != nil {
		return nil, err
	}
	return s.db.TokenRule(ctx, id)
}

// CreateTokenRule adds a rule; its ID and times are made here. The keys that it gives
// are a service account's, and no more than that may.
func (s *Service) CreateTokenRule(ctx context.Context, p Principal, r constellation.TokenRule) (*constellation.TokenRule, error) {
	if err := p.mayEverywhere(constellation.RoleAdmin, "creating a token rule"); err != nil {
		return nil, err
	}
	r.ID, r.CreatedAt, r.CreatedBy = uuid.NewString(), s.now(), p.Username
	err := s.transact(ctx, func(s *Service) error {
		accountID, err := s.checkTokenRule(ctx, &r)
		if err != nil {
			return err
		}
		if err := s.db.InsertTokenRule(ctx, &r, accountID); err != nil {
			return err
		}
		return s.audit(ctx, p, "token_rule.create", ruleTarget(&r), nil, viewRule(&r))
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// checkTokenRule returns the id of the account that a rule gives keys of, whose name it
// writes as that is written.
func (s *Service) checkTokenRule(ctx context.Context, r *constellation.TokenRule) (string, error) {
	var v constellation.Validation
	constellation.CheckTokenRule(&v, r)
	if r.Scope != "" {
		scope := string(r.Scope)
		r.Scope = checkScope(&v, NewKey{Scope: &scope}, r.Role)
	}
	account, err := s.account(ctx, r.Username)
	switch {
	case constellation.KindOf(err) == constellation.KindNotFound || err == nil && account.Kind != constellation.KindService:
		v.Add("account", "there is no service account %q; make it first", clean(r.Username, 63))
	case err != nil:
		return "", err
	case r.Role.Rank() > account.Role.Rank():
		v.Add("role", "a rule's role is no higher than its account's: %s has the role %s", account.Username, account.Role)
	}
	if err := v.Err(); err != nil {
		return "", err
	}
	r.Username = account.Username
	return account.ID, nil
}

// PutTokenRule replaces a rule, but for who made it and when. Keys that it gave before
// work on until their hour is over.
func (s *Service) PutTokenRule(ctx context.Context, p Principal, id string, r constellation.TokenRule) (*constellation.TokenRule, error) {
	err := s.transact(ctx, func(s *Service) error {
		before, err := s.GetTokenRule(ctx, p, id)
		if err != nil {
			return err
		}
		r.ID, r.CreatedAt, r.CreatedBy = before.ID, before.CreatedAt, before.CreatedBy
		accountID, err := s.checkTokenRule(ctx, &r)
		if err != nil {
			return err
		}
		if err := s.db.UpdateTokenRule(ctx, &r, accountID); err != nil {
			return err
		}
		return s.audit(ctx, p, "token_rule.update", ruleTarget(&r), viewRule(before), viewRule(&r))
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// DeleteTokenRule removes a rule. Keys that it gave work on until their hour is over.
func (s *Service) DeleteTokenRule(ctx context.Context, p Principal, id string) error {
	return s.transact(ctx, func(s *Service) error {
		r, err := s.GetTokenRule(ctx, p, id)
		if err != nil {
			return err
		}
		if err := s.db.DeleteTokenRule(ctx, r.ID); err != nil {
			return err
		}
		return s.audit(ctx, p, "token_rule.delete", ruleTarget(r), viewRule(r), nil)
	})
}

func ruleTarget(r *constellation.TokenRule) target { return target{"token_rule", r.ID, r.Name} }

type ruleView struct {
	Name       string                         `json:"name"`
	Issuer     string                         `json:"issuer"`
	Audience   string                         `json:"audience"`
	JWKSURL    string                         `json:"jwks_url,omitempty"`
	Conditions []constellation.ClaimCondition `json:"conditions"`
	Username   string                         `json:"account"`
	Role       constellation.Role             `json:"role"`
	Scope      constellation.KeyScope         `json:"scope,omitempty"`
}

func viewRule(r *constellation.TokenRule) ruleView {
	return ruleView{r.Name, r.Issuer, r.Audience, r.JWKSURL, r.Conditions, r.Username, r.Role, r.Scope}
}

// exchangeView is what the audit log has of a token: what it claimed that a rule asks
// for, and never the token.
type exchangeView struct {
	Rule    string         `json:"rule,omitempty"`
	Issuer  string         `json:"issuer"`
	Subject string         `json:"subject,omitempty"`
	Claims  map[string]any `json:"claims,omitempty"`
	Because string         `json:"because,omitempty"`
}

// ExchangeToken gives a key of an hour for a workload's token, by the first rule, in
// the order of their names, that the token fits. Refusals of tokens that their issuer
// signed, and what keys were given for, are in the audit log.
func (s *Service) ExchangeToken(ctx context.Context, token, address string) (string, *constellation.APIKey, error) {
	issuer := clean(signon.Issuer(token), 500)
	if issuer == "" {
		return "", nil, constellation.Errorf(constellation.KindUnauthenticated, "subject_token is no token (JWT) that names its issuer")
	}
	rules, err := s.db.TokenRulesOf(ctx, issuer)
	if err != nil {
		return "", nil, err
	}
	if len(rules) == 0 {
		return "", nil, constellation.Errorf(constellation.KindUnauthenticated, "no token rule is for the issuer %q; an admin can make one", issuer)
	}
	seen := exchangeView{Issuer: issuer}
	var refused error
	for _, r := range rules {
		claims, err := s.memory.workloads.Verify(ctx, &r, token)
		if err != nil {
			refused = err
			continue
		}
		subject, _ := claims["sub"].(string)
		seen.Subject = clean(subject, 300)
		if fits(&r, claims) {
			return s.giveKey(ctx, &r, claims, seen, clean(address, 64))
		}
		refused = constellation.Errorf(constellation.KindForbidden, "the token is good, and no token rule is for what it claims (subject %q)", seen.Subject)
	}
	if seen.Subject != "" { // its issuer signed it: others may not fill the log
		seen.Because = messageOf(refused)
		if err := s.audit(ctx, Principal{Username: seen.Subject, Address: clean(address, 64)}, "api_key.exchange_refused", target{"token_rule", "", issuer}, nil, seen); err != nil {
			return "", nil, err
		}
	}
	return "", nil, refused
}

func fits(r *constellation.TokenRule, claims map[string]any) bool {
	for _, c := range r.Conditions {
		if !c.Matches(claims) {
			return false
		}
	}
	return true
}

func (s *Service) giveKey(ctx context.Context, r *constellation.TokenRule, claims map[string]any, seen exchangeView, address string) (string, *constellation.APIKey, error) {
	seen.Rule, seen.Claims = r.Name, map[string]any{}
	for _, c := range r.Conditions {
		seen.Claims[c.Claim] = constellation.FindClaim(claims, c.Claim)
	}
	secret, now := auth.NewKey(), s.now()
	key := &constellation.APIKey{
		ID: uuid.NewString(), Name: clean(r.Name+": "+seen.Subject, 200), Prefix: auth.Prefix(secret), Role: r.Role, Scope: r.Scope,
		CreatedAt: now, ExpiresAt: now.Add(ExchangedLifetime),
	}
	err := s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, r.Username)
		if err != nil {
			return err
		}
		if account.Disabled {
			return errDisabled(account.Username)
		}
		key.Username = account.Username
		if err := s.db.InsertAPIKey(ctx, account.ID, key, auth.HashKey(secret)); err != nil {
			return err
		}
		if err := s.db.MarkExchanged(ctx, key.ID); err != nil {
			return err
		}
		return s.audit(ctx, Principal{Username: account.Username, Address: address}, "api_key.exchange", keyTarget(key), nil, seen)
	})
	if err != nil {
		return "", nil, err
	}
	return secret, key, nil
}
