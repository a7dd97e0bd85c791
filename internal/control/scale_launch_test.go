package control_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestLaunchesReadNoLargeTableWhole walks the launches of all satellites by each
// filter in each order, common ones and rare ones, and satellites by what they are
// narrowed to, and counts what PostgreSQL read for it.
func TestLaunchesReadNoLargeTableWhole(t *testing.T) {
	t.Parallel()
	satellites := 20_000
	if n, err := strconv.Atoi(os.Getenv("CONSTELLATION_SCALE")); err == nil {
		satellites = n
	}
	s := newScale(t, satellites)
	ctx, shell := t.Context(), control.Shell()
	for _, sql := range []string{
		`UPDATE launches SET created_by = 'rare' WHERE id = (SELECT id FROM launches ORDER BY name_key DESC LIMIT 1)`,
		`UPDATE satellites SET created_by = 'rare' WHERE id = (SELECT id FROM satellites ORDER BY name_key DESC LIMIT 1)`,
		`UPDATE launches SET labels = labels || '{"only": "one"}', label_terms = label_terms || '{only,only=one}' WHERE id = (SELECT id FROM launches ORDER BY name_key DESC LIMIT 1)`,
		`VACUUM ANALYZE`,
	} {
		if _, err := s.stats.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	var satellite string
	if err := s.stats.QueryRow(ctx, `SELECT name FROM satellites ORDER BY name_key DESC LIMIT 1`).Scan(&satellite); err != nil {
		t.Fatal(err)
	}
	check := func(what string, q control.ListQuery, list func(*control.Service, control.ListQuery) (string, int, error)) {
		t.Helper()
		for range 2 { // the first page and the one after
			var found int
			for table, r := range s.read(func(c *control.Service) (err error) {
				q.Marker, found, err = list(c, q)
				return err
			}) {
				if r.Sequential > 0 {
					t.Errorf("%s by %+v read %s from its start to its end: %d rows", what, q, table, r.Sequential)
				}
			}
			if found == 0 {
				t.Errorf("%s by %+v are none", what, q)
			}
			if q.Marker == "" {
				break
			}
		}
	}
	launches := func(c *control.Service, q control.ListQuery) (string, int, error) {
		page, err := c.ListEveryLaunch(ctx, shell, q)
		return page.Marker, len(page.Items), err
	}
	every := func(c *control.Service, q control.ListQuery) (string, int, error) {
		var page control.Page[constellation.Satellite]
		page, err := c.ListSatellites(ctx, shell, q)
		return page.Marker, len(page.Items), err
	}
	narrowed := func(n control.Narrowing) control.ListQuery { return control.ListQuery{Narrowing: n} }
	both := []control.ListQuery{
		narrowed(control.Narrowing{CreatedBy: "seed"}), narrowed(control.Narrowing{CreatedBy: "rare"}), narrowed(control.Narrowing{Behind: "true"}),
		narrowed(control.Narrowing{Behind: "false"}), narrowed(control.Narrowing{BehindFor: "90w"}), narrowed(control.Narrowing{ExpiresBefore: "30d"}),
		narrowed(control.Narrowing{ExpiresBefore: "100w"}), narrowed(control.Narrowing{ExpiresAfter: "150w"}),
	}
	for _, sort := range []string{"name", "created_at", "last_seen_at", "behind_since", "status"} {
		for _, direction := range []string{"", "-"} {
			for _, q := range append([]control.ListQuery{
				{}, {Status: "degraded"}, {Status: "stale"}, {Status: "never_seen"}, {Status: "up"}, {Status: "stale,up"},
				{Algorithm: "team00/algorithm0000"}, narrowed(control.Narrowing{Owner: "team00"}), narrowed(control.Narrowing{Satellite: satellite}),
				{Selector: "tier=prod"}, {Selector: "tier!=prod"}, {Selector: "site=site-7"}, {Selector: "only"}, {Q: "berlin"}, {Q: "z"}, {Q: "ürich"},
			}, both...) {
				q.Sort, q.Limit, q.Count = direction+sort, 25, true
				check("launches", q, launches)
			}
		}
	}
	for _, q := range both {
		for _, sort := range []string{"name", "-created_at", "expires_at"} {
			q.Sort, q.Limit = sort, 25
			check("satellites", q, every)
		}
	}
}
