package postgres

import (
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// RunFilter narrows satellites and launches to what runs an algorithm, one
// version of it, has a status, or is chosen by its labels, by who made it, by when it
// expires, or by what runs another version than is wanted; the zero value is all.
type RunFilter struct {
	AlgorithmID, VersionID string
	Status                 constellation.LaunchStatus
	Selector               constellation.LabelSelector

	CreatedBy                   string
	ExpiresBefore, ExpiresAfter *time.Time // of satellites
	Behind                      *bool      // false: those that run what is wanted, or nothing that is known
	BehindBy                    *time.Time // they were behind then already

	// Of launches of all satellites.
	Statuses    []constellation.LaunchStatus // empty: all
	SatelliteID string
	OwnerKey    string // the folded name of an owner of whom they run something
	Few         bool   // they are known to be few
}

// uses is what of satellites' versions has the algorithm.
const uses = `satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id
			WHERE v.algorithm_id = @algorithm_id AND (@version_id = '' OR v.id = nullif(@version_id, '')::uuid)`

// args are what the conditions need.
func (f RunFilter) args(args pgx.NamedArgs) pgx.NamedArgs {
	if f.AlgorithmID != "" {
		args["algorithm_id"], args["version_id"] = f.AlgorithmID, f.VersionID
	}
	for i, r := range f.Selector.Requirements {
		args[labelArg(i)] = labelTerms(r)
	}
	for name, at := range map[string]*time.Time{"expires_before": f.ExpiresBefore, "expires_after": f.ExpiresAfter, "behind_by": f.BehindBy} {
		if at != nil {
			args[name] = *at
		}
	}
	for name, text := range map[string]string{"created_by": f.CreatedBy, "of_satellite": f.SatelliteID, "owner": f.OwnerKey} {
		if text != "" {
			args[name] = text
		}
	}
	return args
}

// expiry returns the condition that satellites expire when they should.
func (f RunFilter) expiry() (condition string) {
	if f.ExpiresBefore != nil {
		condition = "s.expires_at < @expires_before"
	}
	if f.ExpiresAfter != nil {
		condition = and(condition, "s.expires_at >= @expires_after")
	}
	return condition
}

// behind returns the condition that launches are behind, or are not.
func (f RunFilter) behind() string {
	switch {
	case f.BehindBy != nil:
		return "n.behind_since <= @behind_by"
	case f.Behind == nil:
		return ""
	case *f.Behind:
		return "n.behind_since < 'infinity'"
	}
	return "n.behind_since = 'infinity'"
}

// satellites returns the condition of satellites, but for what they run.
func (f RunFilter) satellites() string {
	condition := and(satelliteStatus[f.Status], f.labels("s"))
	if f.CreatedBy != "" {
		condition = and(condition, "s.created_by = @created_by")
	}
	condition = and(condition, f.expiry())
	switch {
	case f.BehindBy != nil:
		condition = and(condition, "EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity' AND n.behind_since <= @behind_by)")
	case f.Behind != nil && *f.Behind:
		condition = and(condition, "EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')")
	case f.Behind != nil:
		condition = and(condition, "NOT EXISTS (SELECT FROM launch_index n WHERE n.satellite_id = s.id AND n.behind_since < 'infinity')")
	}
	return condition
}

// satelliteStatus are the satellites that have a launch with a status. Each is the
// condition of an index that has them by name.
var satelliteStatus = map[constellation.LaunchStatus]string{
	constellation.LaunchUp:        "s.launches_up > 0",
	constellation.LaunchDegraded:  "s.launches_degraded > 0",
	constellation.LaunchStale:     "s.launches_stale > 0",
	constellation.LaunchNeverSeen: "s.launch_count > s.launches_up + s.launches_degraded + s.launches_stale",
}

// launchStatus are the launches with a status. One that was never seen may have
// no report.
var launchStatus = map[constellation.LaunchStatus]string{
	constellation.LaunchUp:        "r.status = 'up'",
	constellation.LaunchDegraded:  "r.status = 'degraded'",
	constellation.LaunchStale:     "r.status = 'stale'",
	constellation.LaunchNeverSeen: "r.launch_id IS NULL",
}

// launches returns the condition of launches.
func (f RunFilter) launches() string {
	condition := and(launchStatus[f.Status], f.labels("l"))
	if f.AlgorithmID == "" {
		return condition
	}
	return and(condition, `l.satellite_version IN (
			SELECT x.number FROM `+uses+` AND x.satellite_id = @satellite_id)`)
}

// runsNear is in how many satellites, from where a page starts, the ones that
// run an algorithm are looked for before all of its uses are.
const runsNear = 500

// near is in how many of them the page of a search or of an algorithm's uses is
// looked for first.
func (f RunFilter) near() int {
	if f.AlgorithmID != "" {
		return runsNear
	}
	return namesNear
}

// chosenByUse are the satellites of a page that run an algorithm. One that many
// run is in the first of them; one that few run is found by its uses, which are
// then put in order.
func (f RunFilter) chosenByUse(k keyset) string {
	only := f
	only.Status, only.Selector = "", constellation.LabelSelector{}
	rest := only.satellites()
	near := selection{columns: "s.*", from: "satellites s", where: chosen.where}.sql(k.order, "@near", k.search, k.after, and(f.labels("s"), rest))
	runs := selection{columns: "s.id", from: "(" + near + ") s", where: `EXISTS (
			SELECT FROM ` + uses + ` AND x.satellite_id = s.id AND x.number = s.latest_version)`}
	all := selection{columns: "s.id", from: "users u JOIN satellites s ON s.id = u.id", where: chosen.where}
	return `
		WITH near AS MATERIALIZED (` + runs.sql(k.order, "@limit", satelliteStatus[f.Status]) + `),
		users AS MATERIALIZED (
			SELECT DISTINCT x.satellite_id AS id FROM ` + uses + `
				AND x.number = (SELECT latest_version FROM satellites WHERE id = x.satellite_id)
				AND (SELECT count(*) FROM near) < @limit)
		SELECT id FROM near WHERE (SELECT count(*) FROM near) = @limit
		UNION ALL
		(` + all.sql(k.order, "@limit", k.search, k.after, f.satellites()) + `)`
}

// and joins two conditions, of which either may be "".
func and(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " AND " + b
}

// labelArg names the argument of a selector's requirement.
func labelArg(i int) string { return "label_terms_" + strconv.Itoa(i) }

// labelTerms are the terms that a requirement looks for.
func labelTerms(r constellation.LabelRequirement) []string {
	if len(r.Values) == 0 {
		return []string{r.Key}
	}
	terms := make([]string, len(r.Values))
	for i, value := range r.Values {
		terms[i] = r.Key + "=" + value
	}
	return terms
}

// labels returns the condition that the labels of a table's rows meet the selector;
// "" is none. PostgreSQL knows how common each term is, and so whether its index or
// the order of the list finds a page sooner.
func (f RunFilter) labels(table string) (condition string) {
	terms := table + ".label_terms"
	for i, r := range f.Selector.Requirements {
		one := terms + " && @" + labelArg(i) + "::text[]"
		switch r.Operator {
		case constellation.LabelNotIn, constellation.LabelMissing:
			// coalesce, which says nothing new, keeps the planner from knowing that few
			// rows are left: it would sort them all rather than follow the order.
			one = "coalesce(NOT (" + one + "), false)"
		default: // which is in the index of those that have labels
			one += " AND " + terms + " <> '{}'"
		}
		condition = and(condition, one)
	}
	return condition
}
