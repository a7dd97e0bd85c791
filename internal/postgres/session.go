package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// Session is a browser's login; its token is stored as SHA-256 only.
type Session struct {
	ID          string // UUID, for its owner to name it by
	TokenSHA256 string
	AccountID   string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	LastSeenAt  *time.Time
	Address     string
	UserAgent   string
}

// InsertSession adds a session.
func (db *DB) InsertSession(ctx context.Context, s *Session) error {
	return db.exec(ctx, "insert session", `
		INSERT INTO sessions (id, token_sha256, account_id, created_at, expires_at, last_seen_at, address, user_agent)
		VALUES (@id, @token, @account_id, @created_at, @expires_at, @created_at, @address, @user_agent)`,
		pgx.NamedArgs{
			"id": s.ID, "token": s.TokenSHA256, "account_id": s.AccountID, "created_at": s.CreatedAt, "expires_at": s.ExpiresAt,
			"address": s.Address, "user_agent": s.UserAgent,
		})
}

// SessionHolder is a session and its account.
type SessionHolder struct {
	SessionID  string
	LastSeenAt *time.Time
	AccountID  string
	Username   string
	Role       constellation.Role
	Disabled   bool
	SignOnState
}

// SessionHolder returns the account of a session that has not expired.
func (db *DB) SessionHolder(ctx context.Context, tokenSHA256 string, now time.Time) (*SessionHolder, error) {
	return collectOne[SessionHolder](ctx, db, "find session", `
		SELECT s.id AS session_id, s.last_seen_at, a.id AS account_id, a.username, a.role, a.disabled, `+signOnState+`
		FROM sessions s JOIN accounts a ON a.id = s.account_id LEFT JOIN sign_ons o ON o.account_id = a.id
		WHERE s.token_sha256 = @token AND s.expires_at > @now`,
		pgx.NamedArgs{"token": tokenSHA256, "now": now},
		constellation.Errorf(constellation.KindUnauthenticated, "the session has ended; sign in again"))
}

// DeleteSession ends a session; one that is not there has ended already.
func (db *DB) DeleteSession(ctx context.Context, tokenSHA256 string) error {
	return db.exec(ctx, "delete session", `DELETE FROM sessions WHERE token_sha256 = @token`, pgx.NamedArgs{"token": tokenSHA256})
}

// DeleteSessions ends every session of an account.
func (db *DB) DeleteSessions(ctx context.Context, accountID string) error {
	return db.exec(ctx, "delete sessions", `DELETE FROM sessions WHERE account_id = @id`, pgx.NamedArgs{"id": accountID})
}

// maxSessions is how many sessions of an account are listed: its newest.
const maxSessions = 100

// Sessions returns the newest sessions of an account that have not expired.
func (db *DB) Sessions(ctx context.Context, accountID string, now time.Time) ([]Session, error) {
	return collect[Session](ctx, db, "list sessions", `
		SELECT id, token_sha256, account_id, created_at, expires_at, last_seen_at, address, user_agent
		FROM sessions
		WHERE account_id = @account_id AND expires_at > @now
		ORDER BY created_at DESC, id
		LIMIT @limit`,
		pgx.NamedArgs{"account_id": accountID, "now": now, "limit": maxSessions})
}

// DeleteSessionByID ends a session of an account; one that is not there has
// ended already.
func (db *DB) DeleteSessionByID(ctx context.Context, accountID, id string) error {
	return db.exec(ctx, "delete session", `DELETE FROM sessions WHERE account_id = @account_id AND id = @id`,
		pgx.NamedArgs{"account_id": accountID, "id": id})
}

// DeleteOtherSessions ends every session of an account but one.
func (db *DB) DeleteOtherSessions(ctx context.Context, accountID, id string) error {
	return db.exec(ctx, "delete other sessions", `DELETE FROM sessions WHERE account_id = @account_id AND id <> @id`,
		pgx.NamedArgs{"account_id": accountID, "id": id})
}

// TouchSession notes that a session was used, and from where, unless it was
// noted after since.
func (db *DB) TouchSession(ctx context.Context, id, address string, at, since time.Time) error {
	return db.exec(ctx, "note session use", `
		UPDATE sessions SET last_seen_at = @at, address = @address
		WHERE id = @id AND (last_seen_at IS NULL OR last_seen_at < @since)`,
		pgx.NamedArgs{"id": id, "address": address, "at": at, "since": since})
}

// SetupToken is the token of the set-up link.
type SetupToken struct {
	TokenSHA256 string
	Sealed      []byte // nil of a release that did not keep it
	ExpiresAt   time.Time
}

// SetSetupToken replaces the token of the set-up link.
func (db *DB) SetSetupToken(ctx context.Context, t SetupToken) error {
	return db.exec(ctx, "set set-up token", `
		INSERT INTO setup_token (token_sha256, sealed, expires_at) VALUES (@token, @sealed, @expires_at)
		ON CONFLICT (singleton) DO UPDATE SET token_sha256 = excluded.token_sha256, sealed = excluded.sealed, expires_at = excluded.expires_at`,
		pgx.NamedArgs{"token": t.TokenSHA256, "sealed": t.Sealed, "expires_at": t.ExpiresAt})
}

// SetupToken returns the token of the set-up link that works at now, nil when there
// is none.
func (db *DB) SetupToken(ctx context.Context, now time.Time) (*SetupToken, error) {
	tokens, err := collect[SetupToken](ctx, db, "get set-up token",
		`SELECT token_sha256, sealed, expires_at FROM setup_token WHERE expires_at > @now`, pgx.NamedArgs{"now": now})
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	return &tokens[0], nil
}

// UseSetupToken removes the set-up token and says when it would have expired.
func (db *DB) UseSetupToken(ctx context.Context, tokenSHA256 string) (time.Time, error) {
	type row struct{ ExpiresAt time.Time }
	used, err := collectOne[row](ctx, db, "use set-up token",
		`DELETE FROM setup_token WHERE token_sha256 = @token RETURNING expires_at`, pgx.NamedArgs{"token": tokenSHA256},
		errNoSetup)
	if err != nil {
		return time.Time{}, err
	}
	return used.ExpiresAt, nil
}

// SetupExpiry returns when the set-up token expires.
func (db *DB) SetupExpiry(ctx context.Context, tokenSHA256 string) (time.Time, error) {
	type row struct{ ExpiresAt time.Time }
	found, err := collectOne[row](ctx, db, "get set-up token",
		`SELECT expires_at FROM setup_token WHERE token_sha256 = @token`, pgx.NamedArgs{"token": tokenSHA256},
		errNoSetup)
	if err != nil {
		return time.Time{}, err
	}
	return found.ExpiresAt, nil
}

var errNoSetup = constellation.Errorf(constellation.KindForbidden, "the set-up link is not valid any more; use the newest one in the mothership's log")

// Purge removes what has expired: sessions, answers kept for repeated
// requests made before answersBefore, login failures before failuresBefore.
func (db *DB) Purge(ctx context.Context, now, answersBefore, failuresBefore time.Time) error {
	return db.Transact(ctx, func(tx *DB) error {
		if err := tx.exec(ctx, "purge sessions", `DELETE FROM sessions WHERE expires_at <= @now`, pgx.NamedArgs{"now": now}); err != nil {
			return err
		}
		if err := tx.exec(ctx, "purge used sign-ins", `DELETE FROM used_sign_ins WHERE expires_at <= @now`, pgx.NamedArgs{"now": now}); err != nil {
			return err
		}
		if err := tx.exec(ctx, "purge exchanged API keys", `DELETE FROM api_keys WHERE exchanged AND expires_at <= @now::timestamptz - interval '1 day'`, pgx.NamedArgs{"now": now}); err != nil {
			return err
		}
		if err := tx.exec(ctx, "purge invitations", `DELETE FROM invitations WHERE expires_at <= @now`, pgx.NamedArgs{"now": now}); err != nil {
			return err
		}
		if err := tx.exec(ctx, "purge idempotency keys", `DELETE FROM idempotency_keys WHERE created_at < @before`, pgx.NamedArgs{"before": answersBefore}); err != nil {
			return err
		}
		return tx.exec(ctx, "purge login failures", `DELETE FROM login_failures WHERE last_failed_at < @before`, pgx.NamedArgs{"before": failuresBefore})
	})
}
