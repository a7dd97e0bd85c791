package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	"notification_destinations_name_key_key": {Field: "name", Message: "another destination has this name; choose a different one"},
	"notification_rules_name_key_key":        {Field: "name", Message: "another rule has this name; choose a different one"},
	"accounts_username_key_key":              {Field: "username", Message: "an account with this username exists already; usernames are unique ignoring case"},
	"token_rules_name_key_key":               {Field: "name", Message: "another token rule has this name; choose a different one"},
	"satellites_name_key_key":                {Field: "name", Message: "a satellite with this name exists already; names are unique ignoring case"},
	"launches_satellite_id_name_key_key":     {Field: "name", Message: "a launch of this satellite with this name exists already; names are unique ignoring case"},
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
	case errors.As(err, &connect), pgconn.SafeToRetry(err), pgconn.Timeout(err), broken(err):
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database cannot be reached; try again in a moment")
	}
	return cause
}

// Translate is how other SQL on DB's connections has its failures made the domain's;
// what says what it did, for the log.
func Translate(err error, what string) error { return translate(err, what) }

// broken reports whether the connection to the database ended under a query.
func broken(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
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
	case strings.HasPrefix(pg.Code, "22"): // data exception: what every door should have refused
		return constellation.Wrap(cause, constellation.KindInvalid, "a number, time or text of the request is beyond what can be stored; give a smaller one")
	case pg.Code == "40001", pg.Code == "40P01", pg.Code == "55P03": // serialization, deadlock, lock
		return constellation.Wrap(cause, constellation.KindUnavailable, "too many changes at once; try again in a moment")
	case pg.Code == readOnly:
		return constellation.Wrap(cause, constellation.KindUnavailable, standbyMessage)
	case pg.Code == "26000", pg.Code == "42P05": // a prepared statement is not there, or is there already
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database is behind %s", poolerMessage)
	case pg.Code == "53100": // disk_full
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database's disk is full, so nothing was changed; free some space there and try again")
	case pg.Code == "53300": // too_many_connections: of the server, the database or the role
		return constellation.Wrap(cause, constellation.KindUnavailable, "PostgreSQL takes no more connections, its limit is reached; raise max_connections there, or have each server take fewer by pool_max_conns in its URL")
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"), strings.HasPrefix(pg.Code, "53"):
		return constellation.Wrap(cause, constellation.KindUnavailable, "the database cannot be reached; try again in a moment")
	}
	return cause
}

// cannotConnect returns an error that names what keeps us from the database: which one, and the
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

const (
	// readOnly is read_only_sql_transaction: a standby, or a primary that was
	// made to take no writes.
	readOnly       = "25006"
	standbyMessage = "the database is a standby, or takes no writes for another reason; until there is a primary again things can be read and not changed"
	poolerMessage  = "a pooler in transaction mode, which was not there when this server started; start it again"
)

// retryable reports whether the whole transaction may be run again.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}

// lost reports whether a connection is of no use any more: it broke, its
// server ends, or became a standby. What ran on it was not done, unless it was
// a commit, or a statement outside of a transaction whose answer got lost.
func lost(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == readOnly || strings.HasPrefix(pg.Code, "57P")
	}
	return broken(err) || pgconn.SafeToRetry(err)
}
