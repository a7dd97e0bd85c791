package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var tokenRuleOrder = ordering{
	sorts: map[string]column{
		"name":       {"r.name_key", "text"},
		"created_at": {"r.created_at", "timestamptz"},
	},
	id:     column{"r.id", "uuid"},
	search: "r.name_key",
}

const (
	tokenRuleColumns = `r.id, r.name, r.issuer, r.audience, r.jwks_url, r.ca, r.conditions, a.username, r.role, r.scope, r.created_at, r.created_by` //nolint:gosec // columns
	tokenRuleTables  = `token_rules r JOIN accounts a ON a.id = r.account_id`                                                                        //nolint:gosec // tables
)

// TokenRules returns a page of the rules by which tokens are exchanged for keys.
func (db *DB) TokenRules(ctx context.Context, l List) ([]constellation.TokenRule, error) {
	return list[constellation.TokenRule](ctx, db, "list token rules", listQuery{order: tokenRuleOrder, rows: selection{
		columns: tokenRuleColumns, from: tokenRuleTables,
	}}, l)
}

// TokenRule returns a rule by its id.
func (db *DB) TokenRule(ctx context.Context, id string) (*constellation.TokenRule, error) {
	return collectOne[constellation.TokenRule](ctx, db, "get token rule", `
		SELECT `+tokenRuleColumns+` FROM `+tokenRuleTables+` WHERE r.id = @id`,
		pgx.NamedArgs{"id": id}, constellation.Errorf(constellation.KindNotFound, "there is no token rule %q", id))
}

// TokenRulesOf returns the rules for an issuer's tokens, by name.
func (db *DB) TokenRulesOf(ctx context.Context, issuer string) ([]constellation.TokenRule, error) {
	return collect[constellation.TokenRule](ctx, db, "get token rules of issuer", `
		SELECT `+tokenRuleColumns+` FROM `+tokenRuleTables+` WHERE r.issuer = @issuer ORDER BY r.name_key LIMIT 100`,
		pgx.NamedArgs{"issuer": issuer})
}

// InsertTokenRule adds a rule for an account.
func (db *DB) InsertTokenRule(ctx context.Context, r *constellation.TokenRule, accountID string) error {
	return db.exec(ctx, "insert token rule", `
		INSERT INTO token_rules (id, name, name_key, issuer, audience, jwks_url, ca, conditions, account_id, role, scope, created_at, created_by)
		VALUES (@id, @name, @key, @issuer, @audience, @jwks_url, @ca, @conditions, @account_id, @role, @scope, @created_at, @created_by)`,
		pgx.NamedArgs{
			"id": r.ID, "name": r.Name, "key": constellation.Fold(r.Name), "issuer": r.Issuer, "audience": r.Audience, "jwks_url": r.JWKSURL, "ca": r.CA,
			"conditions": r.Conditions, "account_id": accountID, "role": r.Role, "scope": r.Scope, "created_at": r.CreatedAt, "created_by": r.CreatedBy,
		})
}

// UpdateTokenRule changes a rule, which is for an account then.
func (db *DB) UpdateTokenRule(ctx context.Context, r *constellation.TokenRule, accountID string) error {
	return db.execOne(ctx, "update token rule", `
		UPDATE token_rules SET name = @name, name_key = @key, issuer = @issuer, audience = @audience, jwks_url = @jwks_url, ca = @ca,
			conditions = @conditions, account_id = @account_id, role = @role, scope = @scope
		WHERE id = @id`,
		pgx.NamedArgs{
			"id": r.ID, "name": r.Name, "key": constellation.Fold(r.Name), "issuer": r.Issuer, "audience": r.Audience, "jwks_url": r.JWKSURL, "ca": r.CA,
			"conditions": r.Conditions, "account_id": accountID, "role": r.Role, "scope": r.Scope,
		}, constellation.Errorf(constellation.KindNotFound, "there is no token rule %q", r.ID))
}

// DeleteTokenRule removes a rule.
func (db *DB) DeleteTokenRule(ctx context.Context, id string) error {
	return db.exec(ctx, "delete token rule", `DELETE FROM token_rules WHERE id = @id`, pgx.NamedArgs{"id": id})
}

// MarkExchanged notes that a key was given for a token, so that it goes once it has
// expired.
func (db *DB) MarkExchanged(ctx context.Context, keyID string) error {
	return db.exec(ctx, "mark exchanged API key", `UPDATE api_keys SET exchanged = true WHERE id = @id`, pgx.NamedArgs{"id": keyID})
}
