package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// SignOn is how an account signs in by a provider.
type SignOn struct {
	AccountID    string
	Provider     string
	Issuer       string
	Subject      string // "" until the first sign-in
	RefreshToken []byte // sealed; nil is none
	IDToken      []byte // sealed; nil is none
	GoodUntil    *time.Time
	EndedAt      *time.Time
}

// SignOnState is whether a provider still vouches for an account, where it signs in
// by one.
type SignOnState struct {
	Provider  string     // "" for who does not
	GoodUntil *time.Time // nil before the first sign-in
	EndedAt   *time.Time
}

// signOnState reads a SignOnState of sign_ons o.
const signOnState = `coalesce(o.provider, '') AS provider, o.good_until, o.ended_at`

const signOnColumns = `account_id, provider, issuer, coalesce(subject, '') AS subject, refresh_token, id_token, good_until, ended_at`

// SignOnOf returns how an account signs in by a provider, nil when it does not.
func (db *DB) SignOnOf(ctx context.Context, accountID string) (*SignOn, error) {
	return oneOrNone(collect[SignOn](ctx, db, "get sign-on", `SELECT `+signOnColumns+` FROM sign_ons WHERE account_id = @id`,
		pgx.NamedArgs{"id": accountID}))
}

// SignOnAccount returns the account of whom an issuer vouches for, nil when there is
// none.
func (db *DB) SignOnAccount(ctx context.Context, issuer, subject string) (*constellation.Account, error) {
	return oneOrNone(collect[constellation.Account](ctx, db, "get account of sign-on", `
		SELECT `+accountColumns+`
		FROM `+accountTables+`
		WHERE o.issuer = @issuer AND o.subject = @subject`,
		pgx.NamedArgs{"issuer": issuer, "subject": subject}))
}

func oneOrNone[T any](rows []T, err error) (*T, error) {
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	return &rows[0], nil
}

// ReserveSignOn has an account sign in by a provider from now on, as whoever has its
// username there first.
func (db *DB) ReserveSignOn(ctx context.Context, accountID, provider string) error {
	return db.exec(ctx, "reserve sign-on", `
		INSERT INTO sign_ons (account_id, provider) VALUES (@id, @provider)
		ON CONFLICT (account_id) DO UPDATE SET provider = excluded.provider, issuer = '', subject = NULL, refresh_token = NULL, id_token = NULL,
			good_until = NULL, refresh_at = NULL, ended_at = NULL, ended_because = ''`,
		pgx.NamedArgs{"id": accountID, "provider": provider})
}

// DeleteSignOn has an account not sign in by a provider any more.
func (db *DB) DeleteSignOn(ctx context.Context, accountID string) error {
	return db.exec(ctx, "delete sign-on", `DELETE FROM sign_ons WHERE account_id = @id`, pgx.NamedArgs{"id": accountID})
}

// StoreSignOn stores that a provider vouches for an account, and when it is asked
// again. A token that is nil stays as it was.
func (db *DB) StoreSignOn(ctx context.Context, s *SignOn, refreshAt time.Time) error {
	return db.exec(ctx, "store sign-on", `
		INSERT INTO sign_ons (account_id, provider, issuer, subject, refresh_token, id_token, good_until, refresh_at)
		VALUES (@id, @provider, @issuer, @subject, @refresh_token, @id_token, @good_until, @refresh_at)
		ON CONFLICT (account_id) DO UPDATE SET provider = excluded.provider, issuer = excluded.issuer, subject = excluded.subject,
			refresh_token = coalesce(excluded.refresh_token, sign_ons.refresh_token), id_token = coalesce(excluded.id_token, sign_ons.id_token),
			good_until = excluded.good_until, refresh_at = excluded.refresh_at, ended_at = NULL, ended_because = ''`,
		pgx.NamedArgs{
			"id": s.AccountID, "provider": s.Provider, "issuer": s.Issuer, "subject": s.Subject, "refresh_token": s.RefreshToken,
			"id_token": s.IDToken, "good_until": s.GoodUntil, "refresh_at": refreshAt,
		})
}

// EndSignOn stores that a provider does not vouch for an account any more.
func (db *DB) EndSignOn(ctx context.Context, accountID, because string, at time.Time) error {
	return db.exec(ctx, "end sign-on", `
		UPDATE sign_ons SET ended_at = @at, ended_because = @because, refresh_token = NULL, id_token = NULL
		WHERE account_id = @id`,
		pgx.NamedArgs{"id": accountID, "at": at, "because": because})
}

// LockSignOn returns how an account signs in, and holds it until the transaction
// ends; nil when it does not by a provider.
func (db *DB) LockSignOn(ctx context.Context, accountID string) (*SignOn, error) {
	return oneOrNone(collect[SignOn](ctx, db, "lock sign-on", `SELECT `+signOnColumns+` FROM sign_ons WHERE account_id = @id FOR UPDATE`,
		pgx.NamedArgs{"id": accountID}))
}

// DueSignOns returns some accounts whose provider is to be asked, and puts off until
// next that anybody asks again. Accounts without a session or a working API key
// wait for one.
func (db *DB) DueSignOns(ctx context.Context, providers []string, now, next time.Time, limit int) ([]SignOn, error) {
	return collect[SignOn](ctx, db, "claim sign-ons", `
		UPDATE sign_ons SET refresh_at = @next
		WHERE account_id IN (
			SELECT o.account_id FROM sign_ons o JOIN accounts a ON a.id = o.account_id
			WHERE o.refresh_at <= @now AND o.ended_at IS NULL AND o.refresh_token IS NOT NULL AND o.provider = ANY (@providers::text[]) AND NOT a.disabled
				AND (EXISTS (SELECT FROM sessions s WHERE s.account_id = o.account_id AND s.expires_at > @now)
					OR EXISTS (SELECT FROM api_keys k WHERE k.account_id = o.account_id AND k.revoked_at IS NULL AND k.expires_at > @now))
			ORDER BY o.refresh_at
			LIMIT @limit
			FOR UPDATE OF o SKIP LOCKED)
		RETURNING `+signOnColumns,
		pgx.NamedArgs{"providers": providers, "now": now, "next": next, "limit": limit})
}

// UseSignIn notes that a sign-in came back, and reports whether it is the first time.
func (db *DB) UseSignIn(ctx context.Context, stateSHA256 string, expires time.Time) (bool, error) {
	used, err := collect[struct{ StateSHA256 string }](ctx, db, "use sign-in", `
		INSERT INTO used_sign_ins (state_sha256, expires_at) VALUES (@state, @expires)
		ON CONFLICT DO NOTHING
		RETURNING state_sha256`, pgx.NamedArgs{"state": stateSHA256, "expires": expires})
	return len(used) > 0, err
}
