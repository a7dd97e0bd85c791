package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// taken is which field of the input a unique constraint refuses, and what a
// user reads then.
var taken = map[string]constellation.FieldError{
	"accounts_username_key_key":          {Field: "username", Message: "an account with this username exists already; usernames are unique ignoring case"},
	"satellites_name_key_key":            {Field: "name", Message: "a satellite with this name exists already; names are unique ignoring case"},
	"launches_satellite_id_name_key_key": {Field: "name", Message: "a launch of this satellite with this name exists already; names are unique ignoring case"},
}

// translate makes an Error of a failure of Postgres, by SQLSTATE and never by
// its text. Errors that are the domain's own pass through.
func translate(err error, what string) error {
	var known *constellation.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	cause := fmt.Errorf("%s: %w", what, err)
	switch {
	case errors.As(err, &pg):
		return translateState(cause, pg)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cause
	case errors.As(err, &connect), pgconn.SafeToRetry(err), pgconn.Timeout(err):
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database cannot be reached; try again in a moment")
	}
	return cause
}

func translateState(cause error, pg *pgconn.PgError) error {
	switch {
	case pg.Code == "23505": // unique_violation
		if field, ok := taken[pg.ConstraintName]; ok {
			return &constellation.Error{
				Kind: constellation.KindConflict, Message: field.Message, Fields: []constellation.FieldError{field}, Err: cause,
			}
		}
		return constellation.Wrap(cause, constellation.KindConflict, "somebody else made the same just now; look again and repeat")
	case pg.Code == "23503": // foreign_key_violation
		return constellation.Wrap(cause, constellation.KindConflict, "something it refers to was removed meanwhile, or still refers to it; look again and repeat")
	case pg.Code == "22021", pg.Code == "22P05": // not in the character set: U+0000, broken UTF-8
		return constellation.Wrap(cause, constellation.KindMalformed, "a text has the character U+0000 or is not UTF-8; remove it")
	case pg.Code == "40001", pg.Code == "40P01", pg.Code == "55P03": // serialization, deadlock, lock
		return constellation.Wrap(cause, constellation.KindUnavailable, "too many changes at once; try again in a moment")
	case pg.Code == "53100": // disk_full
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database's disk is full, so nothing was changed; free some space there and try again")
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"), strings.HasPrefix(pg.Code, "53"):
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database cannot be reached; try again in a moment")
	}
	return cause
}

// cannotConnect says what keeps us from the database: which one, and the
// reason without the user's password.
func cannotConnect(config *pgx.ConnConfig, err error) error {
	var pg *pgconn.PgError
	place := net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port)))
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("connect to the database: %w", err)
	case errors.As(err, &pg):
		return constellation.Wrap(err, constellation.KindUnavailable, "the database at %s refuses us (%s); check DATABASE_URL", place, pg.Message)
	}
	reason := "no PostgreSQL answers there"
	var dns *net.DNSError
	var number syscall.Errno
	switch {
	case errors.As(err, &dns):
		reason = "there is no such host"
	case errors.As(err, &number):
		reason = number.Error()
	case pgconn.Timeout(err):
		reason = "no answer within " + config.ConnectTimeout.String()
	}
	return constellation.Wrap(err, constellation.KindUnavailable,
		"the database at %s cannot be reached (%s); check DATABASE_URL, and that PostgreSQL takes connections there", place, reason)
}

// retryable says whether the whole transaction may be run again.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
