package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// everyLaunchOrder orders the launches of all satellites, in the index that triggers
// keep of them.
var everyLaunchOrder = ordering{
	sorts: map[string]column{
		"name":         {"n.name_key", "text"},
		"created_at":   {"n.created_at", "timestamptz"},
		"last_seen_at": {"n.seen_at", "timestamptz"},
		"behind_since": {"n.behind_since", "timestamptz"},
		"status":       {"n.name_key", "text"},
	},
	groups: map[string]string{"status": "n.health"},
	id:     column{"n.launch_id", "uuid"},
	search: "l.name_key",
}

// healths are the statuses as the index has them, the worst first.
var healths = []constellation.LaunchStatus{
	constellation.LaunchDegraded, constellation.LaunchStale, constellation.LaunchNeverSeen, constellation.LaunchUp,
}

// launchesNear is in how many launches, from where a page starts, the page of a
// filter is looked for before all that the filter's own index has are put in order.
const launchesNear = 2000

// health returns the numbers of the statuses that are asked for.
func (f RunFilter) health() (numbers []int16) {
	for i, status := range healths {
		asked := len(f.Statuses) == 0
		for _, s := range f.Statuses {
			asked = asked || s == status
		}
		if asked {
			numbers = append(numbers, int16(i)) //nolint:gosec // of four
		}
	}
	return numbers
}

// walk are launches from where a page starts, as many as limit says: the first of each
// status, each by the index that orders these, merged.
func (f RunFilter) walk(k keyset, limit string) string {
	condition := ""
	if k.list.Sort == "behind_since" {
		condition = f.behind()
	}
	var parts []string
	for _, number := range f.health() {
		part := selection{columns: "n.*", from: "launch_index n", where: "n.health = " + strconv.Itoa(int(number))}
		parts = append(parts, "("+part.sql(k.order, limit, k.after, condition)+")")
	}
	return "SELECT n.*\nFROM (" + strings.Join(parts, "\nUNION ALL\n") + ") n\nORDER BY " + k.order + "\nLIMIT " + limit
}

// each returns the conditions of a launch n of the index, each looked up for itself:
// OFFSET keeps the planner from reading the whole of a table instead.
func (f RunFilter) each(search string) []string {
	list := []string{f.behind()}
	if f.SatelliteID != "" {
		list = append(list, "n.satellite_id = @of_satellite")
	}
	if of := and(and(f.made("l"), f.labels("l")), search); of != "" {
		list = append(list, "EXISTS (SELECT FROM launches l WHERE l.id = n.launch_id AND "+of+" OFFSET 0)")
	}
	if of := f.expiry(); of != "" {
		list = append(list, "EXISTS (SELECT FROM satellites s WHERE s.id = n.satellite_id AND "+of+" OFFSET 0)")
	}
	if of := f.used(); of != "" {
		list = append(list, "EXISTS (SELECT FROM "+of+" AND x.satellite_id = n.satellite_id AND x.number = n.wanted OFFSET 0)")
	}
	return list
}

// all returns where the launches of the filter are, by whichever index has them, and
// the condition that they meet.
func (f RunFilter) all() selection {
	s := selection{columns: "n.launch_id", from: "launch_index n JOIN launches l ON l.id = n.launch_id", where: "n.health = ANY (@healths::smallint[])"}
	s.where = and(and(s.where, f.behind()), and(f.made("l"), f.labels("l")))
	if f.SatelliteID != "" {
		s.where = and(s.where, "l.satellite_id = @of_satellite")
	}
	if of := f.expiry(); of != "" {
		s.from += " JOIN satellites s ON s.id = n.satellite_id"
		s.where = and(s.where, of)
	}
	if of := f.used(); of != "" {
		s.where = and(s.where, "(l.satellite_id, l.satellite_version) IN (SELECT x.satellite_id, x.number FROM "+of+")")
	}
	return s
}

// made returns the condition of who made the rows of a table.
func (f RunFilter) made(table string) string {
	if f.CreatedBy == "" {
		return ""
	}
	return table + ".created_by = @created_by"
}

// used returns what of satellites' versions has the algorithm, or one of the owner.
func (f RunFilter) used() string {
	switch {
	case f.OwnerKey == "" && f.AlgorithmID == "":
		return ""
	case f.OwnerKey == "":
		return uses
	}
	of := `satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			JOIN algorithms a ON a.id = v.algorithm_id JOIN owners o ON o.id = a.owner_id
			WHERE o.name_key = @owner`
	if f.AlgorithmID != "" {
		of += ` AND a.id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid)`
	}
	return of
}

// narrow reports whether there is more to look for than a status.
func (f RunFilter) narrow(search string) bool {
	return strings.Join(f.each(search), "") != ""
}

// everywhere are the launches of a page. Those of a status alone are a walk. What many
// have is among the first of a walk; what few have is found by what they have, and
// put in order.
func (f RunFilter) everywhere(k keyset) string {
	if !f.narrow(k.search) {
		return f.walk(k, "@limit")
	}
	all := f.all()
	if f.Few {
		return all.sql(k.order, "@limit", k.search, k.after)
	}
	first := selection{columns: "n.launch_id", from: "(" + f.walk(k, "@near") + ") n"}.sql(k.order, "@limit", f.each(k.search)...)
	return `
		WITH first AS MATERIALIZED (` + first + `)
		SELECT launch_id FROM first WHERE (SELECT count(*) FROM first) = @limit
		UNION ALL
		(` + all.sql(k.order, "@limit", k.search, k.after, "(SELECT count(*) FROM first) < @limit") + `)`
}

// counted are launches to count, up to a limit, in no order.
func (f RunFilter) counted(k keyset) string {
	if !f.narrow(k.search) {
		return f.walk(k, "@limit")
	}
	all := f.all()
	where := []string{all.where}
	if k.search != "" {
		where = append(where, k.search)
	}
	return "SELECT " + all.columns + "\nFROM " + all.from + "\nWHERE " + strings.Join(where, "\n\tAND ") + "\nLIMIT @limit"
}

// byIndex has a transaction's queries go by indexes, also where the planner takes most
// of a table's rows for what is looked for: it reads tables from their start then, and
// does not know how long it will.
const byIndex = `SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`

// EveryLaunch returns a page of the launches of all satellites.
func (db *DB) EveryLaunch(ctx context.Context, f RunFilter, l List) (page []constellation.ListedLaunch, err error) {
	if l.Q == "" && l.Name == "" && !f.narrow("") {
		return db.everyLaunch(ctx, f, l)
	}
	err = db.Transact(ctx, func(db *DB) error {
		if err := db.exec(ctx, "set how to plan", byIndex, nil); err != nil {
			return err
		}
		page, err = db.everyLaunch(ctx, f, l)
		return err
	})
	return page, err
}

func (db *DB) everyLaunch(ctx context.Context, f RunFilter, l List) ([]constellation.ListedLaunch, error) {
	return list[constellation.ListedLaunch](ctx, db, "list launches of all satellites", listQuery{
		order: everyLaunchOrder,
		within: func(k keyset) selection {
			return selection{
				columns: launchColumns + `,
			s.name AS satellite_name, s.latest_version, s.expires_at, n.health, nullif(n.behind_since, 'infinity') AS behind_since,
			CASE n.health WHEN 1 THEN n.seen_at END AS silent_since, 0::bigint AS calls, 0::bigint AS errors`,
				from: `(` + f.everywhere(k) + `) found JOIN launch_index n ON n.launch_id = found.launch_id
			JOIN launches l ON l.id = n.launch_id JOIN satellites s ON s.id = n.satellite_id LEFT JOIN launch_reports r ON r.launch_id = n.launch_id`,
			}
		},
		counted: f.counted,
		args:    f.args(pgx.NamedArgs{"healths": f.health(), "near": max(launchesNear, 20*l.Limit)}),
	}, l)
}

// OwnerExists reports whether there is an owner with a folded name.
func (db *DB) OwnerExists(ctx context.Context, key string) (bool, error) {
	return scalar[bool](ctx, db, "find owner", `SELECT EXISTS (SELECT FROM owners WHERE name_key = @key)`, pgx.NamedArgs{"key": key})
}

// CallsOfLaunch are how many calls a launch has reported.
type CallsOfLaunch struct {
	LaunchID      string
	Calls, Errors int64
}

// CallsSince returns how many calls launches reported from an hour on.
func (db *DB) CallsSince(ctx context.Context, launchIDs []string, from time.Time) ([]CallsOfLaunch, error) {
	return collect[CallsOfLaunch](ctx, db, "count calls of launches", `
		WITH points AS (
			SELECT launch_id, at, point FROM launch_history
			WHERE launch_id = ANY (@ids::uuid[]) AND resolution = 3600 AND at >= @from
			UNION ALL
			SELECT launch_id, (point ->> 'at')::timestamptz, point
			FROM (SELECT launch_id, state -> 'open' -> 1 AS point FROM launch_reports WHERE launch_id = ANY (@ids::uuid[])) growing
			WHERE json_typeof(point) = 'object' AND (point ->> 'at')::timestamptz >= @from)
		SELECT p.launch_id, coalesce(sum((a.value ->> 'c')::bigint), 0)::bigint AS calls,
			coalesce(sum((SELECT sum(e.value::bigint) FROM json_each_text(a.value -> 'e') e)), 0)::bigint AS errors
		FROM points p CROSS JOIN LATERAL json_each(p.point -> 'a') a
		GROUP BY p.launch_id`, pgx.NamedArgs{"ids": launchIDs, "from": from})
}

// LaunchCount is how many launches have a status and, unless Label is "", a value of a
// label.
type LaunchCount struct {
	Label, Value string
	Status       constellation.LaunchStatus
	Count        int64
}

// LaunchCounts counts launches by status, and by the values of labels.
func (db *DB) LaunchCounts(ctx context.Context, labels []string) ([]LaunchCount, error) {
	const status = `(ARRAY['degraded', 'stale', 'never_seen', 'up'])[n.health + 1]`
	counts, err := collect[LaunchCount](ctx, db, "count launches", `
		SELECT '' AS label, '' AS value, `+status+` AS status, count(*) AS count FROM launch_index n GROUP BY n.health`, nil)
	if err != nil || len(labels) == 0 {
		return counts, err
	}
	labelled, err := collect[LaunchCount](ctx, db, "count labelled launches", `
		SELECT k.label, l.labels ->> k.label AS value, `+status+` AS status, count(*) AS count
		FROM unnest(@labels::text[]) AS k(label)
			JOIN launches l ON l.label_terms && ARRAY[k.label COLLATE "C"] AND l.label_terms <> '{}'
			JOIN launch_index n ON n.launch_id = l.id
		GROUP BY 1, 2, n.health`, pgx.NamedArgs{"labels": labels})
	return append(counts, labelled...), err
}
