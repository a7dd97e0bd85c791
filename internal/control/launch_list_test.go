package control_test

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// launchesOrder compares launches as a list in an order has them.
func launchesOrder(sort string, a, b *constellation.ListedLaunch) int {
	column, descending := strings.CutPrefix(sort, "-")
	if descending {
		a, b = b, a
	}
	name := func(l *constellation.ListedLaunch) string { return constellation.Fold(l.Name) }
	since := func(t *time.Time, none int64) int64 {
		if t == nil {
			return none
		}
		return t.UnixMicro()
	}
	const first, last = -1 << 62, 1 << 62
	seen := func(l *constellation.ListedLaunch) int64 {
		if l.Status == constellation.LaunchNeverSeen {
			return first
		}
		return since(l.SilentSince, last)
	}
	switch column {
	case "name":
		return cmp.Or(cmp.Compare(name(a), name(b)), cmp.Compare(a.ID, b.ID))
	case "created_at":
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	case "last_seen_at":
		return cmp.Or(cmp.Compare(seen(a), seen(b)), cmp.Compare(a.ID, b.ID))
	case "behind_since":
		return cmp.Or(cmp.Compare(since(a.BehindSince, last), since(b.BehindSince, last)), cmp.Compare(a.ID, b.ID))
	}
	worst := []constellation.LaunchStatus{constellation.LaunchDegraded, constellation.LaunchStale, constellation.LaunchNeverSeen, constellation.LaunchUp}
	return cmp.Or(cmp.Compare(slices.Index(worst, a.Status), slices.Index(worst, b.Status)), cmp.Compare(name(a), name(b)), cmp.Compare(a.ID, b.ID))
}

// TestEveryLaunchByEachFilter compares the list of all launches, narrowed by each
// filter, in each order and page by page, with what a plain query finds.
func TestEveryLaunchByEachFilter(t *testing.T) {
	t.Parallel()
	ctx, shell, url := t.Context(), control.Shell(), postgrestest.URL(t)
	db, err := postgres.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	now := time.Now()
	if err := db.Seed(ctx, postgres.Seed{
		Satellites: 600, Launches: 4000, Reports: 3000, Now: now,
		Token: func(launchID, _ string) ([]byte, string, error) { return []byte{1}, auth.HashKey(launchID), nil },
	}); err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(ctx)) })
	if _, err := c.Exec(ctx, `UPDATE launches SET created_by = 'rare' WHERE name_key > 'z'`); err != nil {
		t.Fatal(err)
	}
	s := control.New(control.Options{DB: db, Now: func() time.Time { return now }})
	var satelliteID, satellite string
	if err := c.QueryRow(ctx, `SELECT id::text, name FROM satellites ORDER BY name_key DESC LIMIT 1`).Scan(&satelliteID, &satellite); err != nil {
		t.Fatal(err)
	}
	const runs = `EXISTS (SELECT FROM satellite_uses x JOIN algorithm_versions v ON v.id = x.algorithm_version_id JOIN algorithms a ON a.id = v.algorithm_id
		WHERE x.satellite_id = l.satellite_id AND x.number = l.satellite_version AND `
	for number, test := range []struct {
		q    control.ListQuery
		want string
	}{
		{control.ListQuery{}, `true`},
		{control.ListQuery{Status: "degraded"}, `r.status = 'degraded'`},
		{control.ListQuery{Status: "never_seen,stale"}, `r.launch_id IS NULL OR r.status = 'stale'`},
		{control.ListQuery{Selector: "tier=prod"}, `l.labels ->> 'tier' = 'prod'`},
		{control.ListQuery{Selector: "site=site-3"}, `l.labels ->> 'site' = 'site-3'`},
		{control.ListQuery{Selector: "region notin (eu),tier!=prod"}, `l.labels ->> 'region' <> 'eu' AND l.labels ->> 'tier' <> 'prod'`},
		{control.ListQuery{Algorithm: "team07/algorithm0007"}, runs + `a.repository = 'team07/algorithm0007')`},
		{control.ListQuery{Algorithm: "team06/Algorithm0006/" + fmt.Sprintf("%040x", 21)}, runs + `v.git_hash = '` + fmt.Sprintf("%040x", 21) + `')`},
		{control.ListQuery{Narrowing: control.Narrowing{Owner: "TEAM03"}}, runs + `a.repository LIKE 'team03/%')`},
		{control.ListQuery{Algorithm: "team07/algorithm0007", Narrowing: control.Narrowing{Owner: "team07"}}, runs + `a.repository = 'team07/algorithm0007')`},
		{control.ListQuery{Narrowing: control.Narrowing{Satellite: strings.ToUpper(satellite)}}, `l.satellite_id = '` + satelliteID + `'`},
		{control.ListQuery{Narrowing: control.Narrowing{Satellite: satelliteID}}, `l.satellite_id = '` + satelliteID + `'`},
		{control.ListQuery{Narrowing: control.Narrowing{CreatedBy: "rare"}}, `l.created_by = 'rare'`},
		{control.ListQuery{Narrowing: control.Narrowing{CreatedBy: "seed"}}, `l.created_by = 'seed'`},
		{control.ListQuery{Narrowing: control.Narrowing{CreatedBy: "nobody"}}, `false`},
		{control.ListQuery{Narrowing: control.Narrowing{Behind: "true"}}, `r.running_version <> l.satellite_version`},
		{control.ListQuery{Narrowing: control.Narrowing{Behind: "false"}}, `r.running_version IS NULL OR r.running_version = l.satellite_version`},
		{control.ListQuery{Narrowing: control.Narrowing{BehindFor: "52w"}}, `r.running_version <> l.satellite_version AND i.behind_since <= $1::timestamptz - interval '364 days'`},
		{control.ListQuery{Narrowing: control.Narrowing{ExpiresBefore: "30d"}}, `s.expires_at < $1::timestamptz + interval '30 days'`},
		{control.ListQuery{Narrowing: control.Narrowing{ExpiresAfter: "100w"}}, `s.expires_at >= $1::timestamptz + interval '700 days'`},
		{control.ListQuery{Q: "malm"}, `l.name_key LIKE '%malm%'`},
		{control.ListQuery{Q: "ma"}, `l.name_key LIKE 'ma%'`},
		{control.ListQuery{Name: "BERLIN-1"}, `l.name_key = 'berlin-1'`},
		{control.ListQuery{Status: "up", Selector: "tier=prod", Narrowing: control.Narrowing{Behind: "true", ExpiresBefore: "150w"}}, `r.status = 'up' AND l.labels ->> 'tier' = 'prod' AND r.running_version <> l.satellite_version AND s.expires_at < $1::timestamptz + interval '1050 days'`},
	} {
		rows, err := c.Query(ctx, `SELECT l.id::text FROM launches l JOIN satellites s ON s.id = l.satellite_id JOIN launch_index i ON i.launch_id = l.id
			LEFT JOIN launch_reports r ON r.launch_id = l.id WHERE $1::timestamptz IS NOT NULL AND (`+test.want+`)`, now)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if len(ids) == 0 != (test.want == "false") {
			t.Errorf("%s is of %d launches: no test", test.want, len(ids))
		}
		for i, column := range []string{"name", "created_at", "last_seen_at", "behind_since", "status"} {
			for j, sort := range []string{column, "-" + column} {
				if number > 0 && (number+2*i+j)%3 > 0 { // the same plans
					continue
				}
				q := test.q
				q.Sort, q.Limit, q.Count = sort, 150, true
				if len(ids) < 40 {
					q.Limit = max(1, len(ids)/2)
				}
				var found []constellation.ListedLaunch
				for pages := 0; pages < 3; pages++ {
					page, err := s.ListEveryLaunch(ctx, shell, q)
					if err != nil {
						t.Fatalf("%+v: %v", q, err)
					}
					if want := min(len(ids), control.CountLimit+1); q.Count && page.Total != want {
						t.Errorf("%+v counts %d, want %d", q, page.Total, want)
					}
					q.Count = false
					found = append(found, page.Items...)
					if q.Marker = page.Marker; q.Marker == "" {
						break
					}
				}
				if want := min(len(ids), 3*q.Limit); len(found) != want {
					t.Errorf("%+v: %d launches on the first pages, want %d", q, len(found), want)
				}
				for i := range found {
					if !slices.Contains(ids, found[i].ID) {
						t.Errorf("%+v has %s, which is none", q, found[i].ID)
						break
					}
					if i > 0 && launchesOrder(sort, &found[i-1], &found[i]) >= 0 {
						t.Errorf("%+v: %s is before %s", q, found[i-1].Name, found[i].Name)
						break
					}
				}
			}
		}
	}
}

// TestFiltersOfLaunchesThatCannotBe refuses what no launch could meet, and markers of
// other filters.
func TestFiltersOfLaunchesThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for want, q := range map[string]control.ListQuery{
		`status is one or more of up, degraded, stale, never_seen, with commas between; not "up,down"`: {Status: "up,down"},
		`there is no satellite "Nowhere"`:                                      {Narrowing: control.Narrowing{Satellite: "Nowhere"}},
		`there is no satellite "00000000-0000-4000-8000-000000000000"`:         {Narrowing: control.Narrowing{Satellite: "00000000-0000-4000-8000-000000000000"}},
		`there is no owner "nobody"`:                                           {Narrowing: control.Narrowing{Owner: "nobody"}},
		`behind is true or false; not "maybe"`:                                 {Narrowing: control.Narrowing{Behind: "maybe"}},
		`behind_for is how long, such as 30m, 12h, 7d or 2w; not "9y"`:         {Narrowing: control.Narrowing{BehindFor: "9y"}},
		`behind_for is of launches that are behind; leave behind=false out`:    {Narrowing: control.Narrowing{Behind: "false", BehindFor: "9d"}},
		`expires_before is a date such as 2027-01-31`:                          {Narrowing: control.Narrowing{ExpiresBefore: "2027-02-30"}},
		`expires_after is a date such as 2027-01-31`:                           {Narrowing: control.Narrowing{ExpiresAfter: "0000-01-01"}},
		`created_by has at most 200 characters`:                                {Narrowing: control.Narrowing{CreatedBy: strings.Repeat("x", 201)}},
		`algorithm is OWNER/NAME, or OWNER/NAME/HASH for one version of it`:    {Algorithm: "x"},
		`sort is one of behind_since, created_at, last_seen_at, name, status,`: {Sort: "colour"},
	} {
		if _, err := h.ListEveryLaunch(t.Context(), control.Shell(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", q, err, want)
		}
	}
}
