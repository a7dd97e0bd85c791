package postgres

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"
)

// RateClaim is what a server wants of a limit: Quota requests at once, of which one
// more is there each Step.
type RateClaim struct {
	Name, Subject string
	Quota         int
	Step          time.Duration
	Spent         int // were made in any case; less than 0 gives back what was granted and not used
	Want          int // are to be made, as many of them as there are
}

// RateGrant is the answer to a claim.
type RateGrant struct {
	Granted int
	Left    int           // for other claims, now
	Wait    time.Duration // until there is one; 0 when there is
}

// rateRow is what a claim left.
type rateRow struct {
	Name, Subject string
	Granted       int
	FullIn        float64 // seconds
}

// ClaimRates takes from limits what servers want of them, each of which names another,
// and returns as many grants. Only the database's clock counts. What was spent beyond
// a limit is a debt, of at most another quota.
//
// The rows are locked in one order, so that claims at once do not deadlock.
func (db *DB) ClaimRates(ctx context.Context, claims []RateClaim) ([]RateGrant, error) {
	names, subjects := make([]string, len(claims)), make([]string, len(claims))
	quotas, steps := make([]int32, len(claims)), make([]float64, len(claims))
	spent, wanted := make([]int32, len(claims)), make([]int32, len(claims))
	for i, c := range claims {
		names[i], subjects[i], quotas[i], steps[i] = c.Name, c.Subject, int32(c.Quota), c.Step.Seconds() //nolint:gosec // settings have fewer
		spent[i], wanted[i] = int32(c.Spent), int32(c.Want)                                              //nolint:gosec // of a quota
	}
	// "used" is how far from full the limit is, in requests, before this claim.
	rows, err := collect[rateRow](ctx, db, "claim rates", `
		INSERT INTO rate_limits AS r (name, subject, quota, step, spent, granted, full_at)
		SELECT name, subject, quota, step, spent, greatest(0, least(wanted, quota - greatest(spent, 0))),
			statement_timestamp() + make_interval(secs => step * (greatest(spent, 0) + greatest(0, least(wanted, quota - greatest(spent, 0)))))
		FROM unnest(@names::text[], @subjects::text[], @quotas::int[], @steps::float8[], @spent::int[], @wanted::int[])
			AS c (name, subject, quota, step, spent, wanted)
		ORDER BY name, subject
		ON CONFLICT (name, subject) DO UPDATE SET (quota, step, spent, granted, full_at) = (
			SELECT excluded.quota, excluded.step, excluded.spent, g.granted,
				statement_timestamp() + make_interval(secs => excluded.step * least(u.used + g.granted, 2 * excluded.quota))
			FROM (SELECT greatest(0, greatest(0, least(
					extract(epoch FROM r.full_at - statement_timestamp()) / excluded.step, 2 * excluded.quota)) + excluded.spent) AS used) AS u,
				LATERAL (SELECT greatest(0, least(excluded.granted, floor(excluded.quota - u.used + 0.01)))::int AS granted) AS g)
		RETURNING name, subject, granted, extract(epoch FROM full_at - statement_timestamp())::float8 AS full_in`,
		pgx.NamedArgs{"names": names, "subjects": subjects, "quotas": quotas, "steps": steps, "spent": spent, "wanted": wanted})
	if err != nil {
		return nil, err
	}
	return grants(claims, rows), nil
}

// grants matches what claims left to them.
func grants(claims []RateClaim, rows []rateRow) []RateGrant {
	type of struct{ name, subject string }
	found := make(map[of]rateRow, len(rows))
	for _, r := range rows {
		found[of{r.Name, r.Subject}] = r
	}
	list := make([]RateGrant, len(claims))
	for i, c := range claims {
		r := found[of{c.Name, c.Subject}]
		step := c.Step.Seconds()
		left := float64(c.Quota) - max(0, r.FullIn)/step
		list[i] = RateGrant{Granted: r.Granted, Left: max(0, int(math.Floor(left+0.01)))}
		if list[i].Left == 0 {
			list[i].Wait = time.Duration(math.Ceil((1-left)*step*1000)) * time.Millisecond
		}
	}
	return list
}

// SweepRates removes the limits of which nothing is used, and of more than most those
// of which the least is. One server at a time does; the others have nothing to do. It
// waits for no claim, and so is in no claim's way for long.
func (db *DB) SweepRates(ctx context.Context, most int) error {
	return db.Transact(ctx, func(tx *DB) error {
		mine, err := tx.TryLock(ctx, "sweep rates")
		if err != nil || !mine {
			return err
		}
		if err := tx.exec(ctx, "sweep rates", `
			DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM rate_limits WHERE full_at <= clock_timestamp() FOR UPDATE SKIP LOCKED))`, nil); err != nil {
			return err
		}
		return tx.exec(ctx, "bound rates", `
			DELETE FROM rate_limits WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM rate_limits ORDER BY full_at DESC OFFSET @most FOR UPDATE SKIP LOCKED))`, pgx.NamedArgs{"most": most})
	})
}
