package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

var accountOrder = ordering{
	sorts: map[string]column{
		"name":       {"a.username_key", "text"},
		"created_at": {"a.created_at", "timestamptz"},
	},
	id:     column{"a.id", "uuid"},
	search: "a.username_key",
}

// accountColumns and accountTables read an account whole.
const (
	accountColumns = `a.id, a.username, a.kind, a.role, a.password_hash <> '' AS has_password, coalesce(o.provider, '') AS provider,
		o.ended_at AS sign_on_ended_at, a.disabled, a.created_at, a.updated_at`
	accountTables = `accounts a LEFT JOIN sign_ons o ON o.account_id = a.id`
)

// Accounts returns a page of accounts of a kind, "" is every one.
func (db *DB) Accounts(ctx context.Context, kind constellation.AccountKind, l List) ([]constellation.Account, error) {
	return list[constellation.Account](ctx, db, "list accounts", listQuery{order: accountOrder, rows: selection{
		columns: accountColumns,
		from:    accountTables,
		where:   `(@kind = '' OR a.kind = @kind)`,
	}, args: pgx.NamedArgs{"kind": kind}}, l)
}

// Account returns the account with a username, ignoring case.
func (db *DB) Account(ctx context.Context, username string) (*constellation.Account, error) {
	return collectOne[constellation.Account](ctx, db, "get account", `
		SELECT `+accountColumns+`
		FROM `+accountTables+`
		WHERE a.username_key = @key`,
		pgx.NamedArgs{"key": constellation.Fold(username)},
		constellation.Errorf(constellation.KindNotFound, "there is no account %q", username))
}

// PasswordHash returns an account's password hash, "" when it has none.
func (db *DB) PasswordHash(ctx context.Context, accountID string) (string, error) {
	return scalar[string](ctx, db, "get password hash",
		`SELECT coalesce((SELECT password_hash FROM accounts WHERE id = @id), '')`, pgx.NamedArgs{"id": accountID})
}

// InsertAccount adds an account; passwordHash "" is none.
func (db *DB) InsertAccount(ctx context.Context, a *constellation.Account, passwordHash string) error {
	return db.exec(ctx, "insert account", `
		INSERT INTO accounts (id, username, username_key, kind, role, password_hash, disabled, created_at, updated_at)
		VALUES (@id, @username, @key, @kind, @role, @password_hash, @disabled, @created_at, @updated_at)`,
		pgx.NamedArgs{
			"id": a.ID, "username": a.Username, "key": constellation.Fold(a.Username), "kind": a.Kind, "role": a.Role,
			"password_hash": passwordHash, "disabled": a.Disabled, "created_at": a.CreatedAt, "updated_at": a.UpdatedAt,
		})
}

// UpdateAccount stores an account's role and whether it is disabled.
func (db *DB) UpdateAccount(ctx context.Context, a *constellation.Account) error {
	return db.exec(ctx, "update account", `
		UPDATE accounts SET role = @role, disabled = @disabled, updated_at = @updated_at WHERE id = @id`,
		pgx.NamedArgs{"id": a.ID, "role": a.Role, "disabled": a.Disabled, "updated_at": a.UpdatedAt})
}

// SetPasswordHash stores an account's password hash.
func (db *DB) SetPasswordHash(ctx context.Context, accountID, passwordHash string) error {
	return db.exec(ctx, "set password", `UPDATE accounts SET password_hash = @hash WHERE id = @id`,
		pgx.NamedArgs{"id": accountID, "hash": passwordHash})
}

// DeleteAccount removes an account with its keys and sessions.
func (db *DB) DeleteAccount(ctx context.Context, accountID string) error {
	return db.exec(ctx, "delete account", `DELETE FROM accounts WHERE id = @id`, pgx.NamedArgs{"id": accountID})
}

// HasAccounts reports whether any account exists.
func (db *DB) HasAccounts(ctx context.Context) (bool, error) {
	return scalar[bool](ctx, db, "look for accounts", `SELECT EXISTS (SELECT FROM accounts)`, nil)
}

// HasOtherAdmin reports whether an enabled admin besides this account exists who
// does not depend on a provider, and is no service.
func (db *DB) HasOtherAdmin(ctx context.Context, accountID string) (bool, error) {
	return scalar[bool](ctx, db, "look for other admins", `
		SELECT EXISTS (
			SELECT FROM accounts a
			WHERE a.role = 'admin' AND NOT a.disabled AND a.id <> @id AND a.kind = 'person'
				AND NOT EXISTS (SELECT FROM sign_ons o WHERE o.account_id = a.id))`,
		pgx.NamedArgs{"id": accountID})
}
