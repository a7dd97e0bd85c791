package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// LoginFailures is how often logins failed, and when last: of one username
// from one address, or of all where one of the two is "".
type LoginFailures struct {
	Username     string // as folded
	Address      string
	Failures     int
	LastFailedAt time.Time
}

// LockLoginFailures returns the counts for a username from an address, for the
// address, and for the username, and holds them until the transaction ends,
// so that logins at once are counted one after the other.
func (db *DB) LockLoginFailures(ctx context.Context, username, address string) ([]LoginFailures, error) {
	args := pgx.NamedArgs{"username": constellation.Fold(username), "address": address}
	err := db.exec(ctx, "prepare login failures", `
		INSERT INTO login_failures (username_key, address, failures, last_failed_at)
		VALUES (@username, @address, 0, 'epoch'), ('', @address, 0, 'epoch'), (@username, '', 0, 'epoch')
		ON CONFLICT DO NOTHING`, args)
	if err != nil {
		return nil, err
	}
	return collect[LoginFailures](ctx, db, "get login failures", `
		SELECT username_key AS username, address, failures, last_failed_at FROM login_failures
		WHERE (username_key = @username AND address IN (@address, '')) OR (username_key = '' AND address = @address)
		ORDER BY username_key, address
		FOR UPDATE`, args)
}

// AddLoginFailure counts a failed login in all three counts; failures before
// since are forgotten.
func (db *DB) AddLoginFailure(ctx context.Context, username, address string, at, since time.Time) error {
	return db.exec(ctx, "count login failure", `
		UPDATE login_failures SET
			failures = CASE WHEN last_failed_at < @since THEN 1 ELSE failures + 1 END,
			last_failed_at = @at
		WHERE (username_key = @username AND address IN (@address, '')) OR (username_key = '' AND address = @address)`,
		pgx.NamedArgs{"username": constellation.Fold(username), "address": address, "at": at, "since": since})
}

// ClearLoginFailures forgets the failed logins of a username from an address,
// and takes the one back that was counted for the attempt which succeeded.
func (db *DB) ClearLoginFailures(ctx context.Context, username, address string) error {
	args := pgx.NamedArgs{"username": constellation.Fold(username), "address": address}
	err := db.exec(ctx, "clear login failures", `
		DELETE FROM login_failures WHERE username_key = @username AND address = @address`, args)
	if err != nil {
		return err
	}
	return db.exec(ctx, "take a login failure back", `
		UPDATE login_failures SET failures = greatest(failures - 1, 0)
		WHERE (username_key = @username AND address = '') OR (username_key = '' AND address = @address)`, args)
}
