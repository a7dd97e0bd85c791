package control

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// NewKey is what CreateKey needs. Role nil is the most the maker may give,
// SatelliteID nil is every satellite, Scope nil is all that the role may,
// ExpiresAt nil is in a year: only what is absent is unlimited, what is empty
// is refused.
type NewKey struct {
	Name        string
	Role        *constellation.Role
	SatelliteID *string
	Scope       *string
	ExpiresAt   *time.Time
}

var keyListing = listing[constellation.APIKey]{
	name: "api_keys", fallback: "name",
	sorts: map[string]sortKey[constellation.APIKey]{
		"name":       byText(func(k *constellation.APIKey) string { return constellation.Fold(k.Name) }),
		"created_at": byTime(func(k *constellation.APIKey) time.Time { return k.CreatedAt }),
		"expires_at": byTime(func(k *constellation.APIKey) time.Time { return k.ExpiresAt }),
	},
	id: byUUID(func(k *constellation.APIKey) string { return k.ID }),
}

// ListKeys returns a page of an account's keys, by name, created_at or
// expires_at: one's own, or any account's for an admin.
func (s *Service) ListKeys(ctx context.Context, p Principal, username string, q ListQuery) (Page[constellation.APIKey], error) {
	if err := p.mayAccount(username, "listing another account's API keys"); err != nil {
		return Page[constellation.APIKey]{}, err
	}
	list, err := keyListing.parse(q, username)
	if err != nil {
		return Page[constellation.APIKey]{}, err
	}
	account, err := s.account(ctx, username)
	if err != nil {
		return Page[constellation.APIKey]{}, err
	}
	rows, err := s.db.APIKeys(ctx, account.ID, list)
	return keyListing.page(list, rows), err
}

// CreateKey makes an API key and returns it, this once. Its role is no higher
// than its account's, and a key makes no key beyond itself.
func (s *Service) CreateKey(ctx context.Context, p Principal, username string, n NewKey) (string, *constellation.APIKey, error) {
	if err := p.mayAccount(username, "creating an API key of another account"); err != nil {
		return "", nil, err
	}
	secret := auth.NewKey()
	var key *constellation.APIKey
	err := s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, username)
		if err != nil {
			return err
		}
		if key, err = s.checkKey(ctx, p, account, n); err != nil {
			return err
		}
		key.Prefix = auth.Prefix(secret)
		if err := s.db.InsertAPIKey(ctx, account.ID, key, auth.HashKey(secret)); err != nil {
			return err
		}
		return s.audit(ctx, p, "api_key.create", keyTarget(key), nil, viewKey(key))
	})
	if err != nil {
		return "", nil, err
	}
	return secret, key, nil
}

func keyTarget(k *constellation.APIKey) target { return target{"api_key", k.ID, k.Name} }

// checkKey returns the record of a new key, or every field that is wrong.
func (s *Service) checkKey(ctx context.Context, p Principal, account *constellation.Account, n NewKey) (*constellation.APIKey, error) {
	now := s.now()
	var v constellation.Validation
	constellation.CheckDisplayName(&v, "name", "an API key", n.Name)
	checkExpiry(&v, n.ExpiresAt, now)
	role := account.Role
	switch {
	case n.Role != nil:
		role = *n.Role
	case !p.managesAccounts() && p.Role.Rank() < role.Rank():
		role = p.Role
	}
	constellation.CheckRole(&v, "role", role)
	if role.Valid() && role.Rank() > account.Role.Rank() {
		v.Add("role", "a key's role is no higher than its account's: %s has the role %s", account.Username, account.Role)
	}
	satelliteID := ""
	if n.SatelliteID != nil {
		if p.SatelliteID != "" && !strings.EqualFold(p.SatelliteID, *n.SatelliteID) { // whether there is one or not
			return nil, refuseRole(p, role)
		}
		var err error
		if satelliteID, err = parseID("satellite", *n.SatelliteID); err == nil {
			_, err = s.db.Satellite(ctx, satelliteID)
		}
		if constellation.KindOf(err) == constellation.KindNotFound {
			v.Add("satellite_id", "there is no satellite %q; leave it out for a key of every satellite", clean(*n.SatelliteID, 40))
		} else if err != nil {
			return nil, err
		}
	}
	scope := checkScope(&v, n, role)
	if err := v.Err(); err != nil {
		return nil, err
	}
	if !p.covers(role, satelliteID) {
		return nil, refuseRole(p, role)
	}
	expires := now.Add(constellation.DefaultKeyLifetime)
	if n.ExpiresAt != nil {
		expires = n.ExpiresAt.UTC().Truncate(time.Microsecond)
	}
	return &constellation.APIKey{
		ID: uuid.NewString(), Username: account.Username, Name: n.Name, Role: role, SatelliteID: satelliteID, Scope: scope,
		CreatedAt: now, ExpiresAt: expires,
	}, nil
}

// checkScope returns the scope of a new key, "" for none.
func checkScope(v *constellation.Validation, n NewKey, role constellation.Role) constellation.KeyScope {
	if n.Scope == nil {
		return ""
	}
	if n.SatelliteID != nil {
		v.Add("scope", "a key is limited to a satellite or to what it pushes, not to both; leave one of them out")
	}
	if role.Valid() && role != constellation.RoleAdmin {
		v.Add("scope", "pushing needs the role admin, and this key would have the role %s; make it for an account with the role admin", role)
	}
	return constellation.ParseKeyScope(v, "scope", *n.Scope)
}

// refuseRole returns why p makes no key of a role and satellite that it does not
// reach.
func refuseRole(p Principal, role constellation.Role) error {
	if p.SatelliteID != "" {
		return constellation.Errorf(constellation.KindForbidden, "this API key is limited to satellite %s and role %s; the keys it makes have the same satellite and no higher role", p.SatelliteID, p.Role)
	}
	return constellation.Errorf(constellation.KindForbidden, "an API key with the role %s needs somebody with that role to make it; this one has the role %s", role, p.Role)
}

// RevokeKey makes a key stop working at once; a revoked one stays so.
func (s *Service) RevokeKey(ctx context.Context, p Principal, username, keyID string) error {
	if err := p.mayAccount(username, "revoking another account's API key"); err != nil {
		return err
	}
	return s.transact(ctx, func(s *Service) error {
		account, err := s.account(ctx, username)
		if err != nil {
			return err
		}
		keyID, err := parseID("API key", keyID)
		if err != nil {
			return err
		}
		key, err := s.db.APIKey(ctx, account.ID, keyID)
		if err != nil || key.RevokedAt != nil {
			return err
		}
		if !p.managesAccounts() && !p.covers(key.Role, key.SatelliteID) {
			return constellation.Errorf(constellation.KindForbidden, "the API key %q may do more than the one that asks to revoke it; sign in, or use one like it", key.Name)
		}
		before, now := viewKey(key), s.now()
		if err := s.db.RevokeAPIKey(ctx, key.ID, now); err != nil {
			return err
		}
		key.RevokedAt = &now
		return s.audit(ctx, p, "api_key.revoke", keyTarget(key), before, viewKey(key))
	})
}

// HasAdminKey reports whether the account has a working admin API key for every
// satellite and without a scope, which the browser asks for before algorithms are added to one.
func (s *Service) HasAdminKey(ctx context.Context, p Principal) (bool, error) {
	if err := p.may(constellation.RoleViewer, "looking for API keys"); err != nil || p.AccountID == "" {
		return false, err
	}
	return s.db.HasAPIKey(ctx, p.AccountID, constellation.RoleAdmin, s.now())
}
