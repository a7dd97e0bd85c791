package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var apiKeyOrder = ordering{
	sorts: map[string]column{
		"name":       {"k.name_key", "text"},
		"created_at": {"k.created_at", "timestamptz"},
		"expires_at": {"k.expires_at", "timestamptz"},
	},
	id:     column{"k.id", "uuid"},
	search: "k.name_key",
}

// APIKeys returns a page of an account's keys, revoked ones too.
func (db *DB) APIKeys(ctx context.Context, accountID string, l List) ([]constellation.APIKey, error) {
	return list[constellation.APIKey](ctx, db, "list API keys", listQuery{order: apiKeyOrder, rows: selection{
		columns: `k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at`,
		from:  `api_keys k JOIN accounts a ON a.id = k.account_id`,
		where: `k.account_id = @account_id`,
	}, args: pgx.NamedArgs{"account_id": accountID}}, l)
}

// APIKey returns a key of an account by its id.
func (db *DB) APIKey(ctx context.Context, accountID, keyID string) (*constellation.APIKey, error) {
	return collectOne[constellation.APIKey](ctx, db, "get API key", `
		SELECT k.id, a.username, k.name, k.prefix, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope,
			k.created_at, k.expires_at, k.last_used_at, k.revoked_at
		FROM api_keys k JOIN accounts a ON a.id = k.account_id
		WHERE k.account_id = @account_id AND k.id = @id`,
		pgx.NamedArgs{"account_id": accountID, "id": keyID},
		constellation.Errorf(constellation.KindNotFound, "the account has no API key %q", keyID))
}

// KeyHolder is a key as authentication needs it.
type KeyHolder struct {
	ID              string
	Role            constellation.Role
	SatelliteID     string
	Scope           constellation.KeyScope
	ExpiresAt       time.Time
	LastUsedAt      *time.Time
	RevokedAt       *time.Time
	AccountID       string
	Username        string
	AccountRole     constellation.Role
	AccountDisabled bool
	SignOnState
}

// KeyHolder returns the key with a SHA-256 and its account. The hash of a key
// with a scope has a word before it, so that a mothership that knows of no
// scopes does not find the key.
func (db *DB) KeyHolder(ctx context.Context, sha256 string) (*KeyHolder, error) {
	return collectOne[KeyHolder](ctx, db, "find API key", `
		SELECT k.id, k.role, coalesce(k.satellite_id::text, '') AS satellite_id, k.scope, k.expires_at, k.last_used_at, k.revoked_at,
			a.id AS account_id, a.username, a.role AS account_role, a.disabled AS account_disabled,
			`+signOnState+`
		FROM api_keys k JOIN accounts a ON a.id = k.account_id LEFT JOIN sign_ons o ON o.account_id = a.id
		WHERE k.sha256 IN (@sha256, 'scoped ' || @sha256)`,
		pgx.NamedArgs{"sha256": sha256},
		constellation.Errorf(constellation.KindUnauthenticated, "this mothership does not know the API key; make one in the admin panel, or use the mothership it is from"))
}

// TouchAPIKey notes that a key was used, unless it was noted after since.
func (db *DB) TouchAPIKey(ctx context.Context, keyID string, at, since time.Time) error {
	return db.exec(ctx, "note API key use", `
		UPDATE api_keys SET last_used_at = @at
		WHERE id = @id AND (last_used_at IS NULL OR last_used_at < @since)`,
		pgx.NamedArgs{"id": keyID, "at": at, "since": since})
}

// InsertAPIKey adds a key of an account.
func (db *DB) InsertAPIKey(ctx context.Context, accountID string, k *constellation.APIKey, sha256 string) error {
	return db.exec(ctx, "insert API key", `
		INSERT INTO api_keys (id, account_id, name, name_key, prefix, sha256, role, satellite_id, scope, created_at, expires_at)
		VALUES (@id, @account_id, @name, @key, @prefix, CASE @scope WHEN '' THEN '' ELSE 'scoped ' END || @sha256, @role, nullif(@satellite_id, '')::uuid, @scope, @created_at, @expires_at)`,
		pgx.NamedArgs{
			"id": k.ID, "account_id": accountID, "name": k.Name, "key": constellation.Fold(k.Name), "prefix": k.Prefix,
			"sha256": sha256, "role": k.Role, "satellite_id": k.SatelliteID, "scope": k.Scope, "created_at": k.CreatedAt, "expires_at": k.ExpiresAt,
		})
}

// RevokeAPIKey makes a key stop working.
func (db *DB) RevokeAPIKey(ctx context.Context, keyID string, at time.Time) error {
	return db.exec(ctx, "revoke API key", `UPDATE api_keys SET revoked_at = @at WHERE id = @id AND revoked_at IS NULL`,
		pgx.NamedArgs{"id": keyID, "at": at})
}

// HasAPIKey reports whether the account has a working key of this role for every
// satellite and without a scope.
func (db *DB) HasAPIKey(ctx context.Context, accountID string, role constellation.Role, now time.Time) (bool, error) {
	return scalar[bool](ctx, db, "look for API keys", `
		SELECT EXISTS (
			SELECT FROM api_keys
			WHERE account_id = @account_id AND role = @role AND satellite_id IS NULL AND scope = '' AND revoked_at IS NULL AND expires_at > @now)`,
		pgx.NamedArgs{"account_id": accountID, "role": role, "now": now})
}
