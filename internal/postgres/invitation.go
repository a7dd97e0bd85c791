package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SetInvitation stores the one-time link of an account in place of the one before.
func (db *DB) SetInvitation(ctx context.Context, accountID, tokenSHA256, by string, at, expires time.Time) error {
	return db.exec(ctx, "set invitation", `
		INSERT INTO invitations (account_id, token_sha256, expires_at, created_at, created_by)
		VALUES (@account_id, @token, @expires_at, @at, @by)
		ON CONFLICT (account_id) DO UPDATE SET token_sha256 = excluded.token_sha256, expires_at = excluded.expires_at,
			created_at = excluded.created_at, created_by = excluded.created_by`,
		pgx.NamedArgs{"account_id": accountID, "token": tokenSHA256, "expires_at": expires, "at": at, "by": by})
}

// InvitedAccount returns the account that a link is for, while it is good.
func (db *DB) InvitedAccount(ctx context.Context, tokenSHA256 string, now time.Time) (*constellation.Account, error) {
	return collectOne[constellation.Account](ctx, db, "get invitation", `
		SELECT `+accountColumns+`
		FROM invitations i JOIN `+accountTables+` ON a.id = i.account_id
		WHERE i.token_sha256 = @token AND i.expires_at > @now AND NOT a.disabled`,
		pgx.NamedArgs{"token": tokenSHA256, "now": now},
		constellation.Errorf(constellation.KindForbidden, "this link has been used, was replaced or has expired; ask an admin for a new one"))
}

// DeleteInvitation uses an account's link up.
func (db *DB) DeleteInvitation(ctx context.Context, accountID string) error {
	return db.exec(ctx, "delete invitation", `DELETE FROM invitations WHERE account_id = @id`, pgx.NamedArgs{"id": accountID})
}
