package control_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
)

// TestFiltersReadNoLargeTableWhole walks satellites and launches by status and by
// algorithm, common ones and rare ones, and counts what PostgreSQL read for it.
func TestFiltersReadNoLargeTableWhole(t *testing.T) {
	t.Parallel()
	satellites := 20_000
	if n, err := strconv.Atoi(os.Getenv("CONSTELLATION_SCALE")); err == nil {
		satellites = n
	}
	s := newScale(t, satellites)
	ctx, shell := t.Context(), control.Shell()
	// One satellite, late in every order, has an algorithm and a status of its own.
	for _, sql := range []string{
		`INSERT INTO algorithms (id, owner_id, name, repository, created_at, created_by)
			SELECT gen_random_uuid(), owner_id, 'rare', 'team00/rare', now(), 'test' FROM algorithms WHERE repository = 'team00/algorithm0000'`,
		`INSERT INTO algorithm_versions (id, algorithm_id, git_hash, state, digest, media_type, size, platforms, runtime, created_at, created_by)
			SELECT gen_random_uuid(), a.id, repeat('e', 40), 'ready', 'sha256:e', '', 1, '{}', '{}', now(), 'test' FROM algorithms a WHERE repository = 'team00/rare'`,
		`INSERT INTO satellite_versions (satellite_id, number, created_at, created_by)
			SELECT id, latest_version + 1, now(), 'test' FROM satellites ORDER BY name_key DESC LIMIT 1`,
		`INSERT INTO satellite_algorithms (satellite_id, number, position, vanity_url, algorithm_version_id, replicas)
			SELECT s.id, s.latest_version + 1, 0, 'ra/re', v.id, 1 FROM (SELECT * FROM satellites ORDER BY name_key DESC LIMIT 1) s, algorithm_versions v WHERE v.git_hash = repeat('e', 40)`,
		`UPDATE satellites SET latest_version = latest_version + 1, launches_degraded = 0, launches_up = launch_count, launches_stale = 0 WHERE id = (SELECT id FROM satellites ORDER BY name_key DESC LIMIT 1)`,
		`UPDATE satellites SET launches_degraded = 0, launches_up = launches_up + launches_degraded WHERE launches_degraded > 0 AND name_key < (SELECT max(name_key) FROM satellites WHERE launches_degraded > 0)`,
		// Labels: one that half have, one that most have, one that the later half has, and one that one has.
		`UPDATE satellites SET (labels, label_terms) = (SELECT jsonb_object_agg(k, v), array_agg(k) || array_agg(k || '=' || v) FROM (VALUES
				('region', CASE WHEN hashtext(id::text) % 2 = 0 THEN 'eu' ELSE 'us' END), ('tier', CASE WHEN hashtext(id::text) % 50 = 0 THEN 'dev' ELSE 'prod' END),
				(CASE WHEN name_key > 'l' THEN 'late' END, 'yes'), (CASE WHEN name_key = (SELECT max(name_key) FROM satellites) THEN 'only' END, 'one')) AS l(k, v) WHERE k IS NOT NULL)`,
		`VACUUM ANALYZE`,
	} {
		if _, err := s.stats.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	const common, rare = "team00/algorithm0000", "team00/rare"
	for _, q := range []control.ListQuery{
		{Status: "up"}, {Status: "degraded"}, {Status: "stale"}, {Status: "never_seen"},
		{Algorithm: common}, {Algorithm: rare}, {Algorithm: rare + "/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"},
		{Algorithm: common, Status: "degraded"}, {Algorithm: rare, Status: "up"}, {Algorithm: common, Q: "edge"},
		{Selector: "region=eu"}, {Selector: "region=eu,tier=dev"}, {Selector: "tier!=prod"}, {Selector: "!region"}, {Selector: "late"}, {Selector: "late,region in (eu,us),tier=dev"},
		{Selector: "only"}, {Selector: "only=one,region"}, {Selector: "only=two"}, {Selector: "region=eu", Q: "berlin"}, {Selector: "only", Q: "e"}, {Selector: "region=us", Status: "up"}, {Selector: "tier=dev", Algorithm: common},
	} {
		for _, sort := range []string{"", "created_at"} {
			q.Sort, q.Limit = sort, 25
			for range 2 { // the first page and the one after
				var page control.Page[constellation.Satellite]
				read := s.read(func(c *control.Service) (err error) {
					page, err = c.ListSatellites(ctx, shell, q)
					return err
				})
				for table, r := range read {
					if r.Sequential > 0 {
						t.Errorf("satellites by %+v read %s from its start to its end: %d rows", q, table, r.Sequential)
					}
				}
				if q.Selector != "" {
					one := strings.HasPrefix(q.Selector, "only")
					if n := len(page.Items); one && n > 1 || q.Selector == "only" && q.Q == "" && n != 1 {
						t.Errorf("satellites by %+v are %d", q, n)
					}
					if q.Marker = page.Marker; q.Marker == "" {
						break
					}
					continue
				}
				few := strings.HasPrefix(q.Algorithm, rare) || q.Status == "degraded"
				if n := len(page.Items); few && n > 1 || strings.HasPrefix(q.Algorithm, rare) && n != 1 || !few && n == 0 {
					t.Errorf("satellites by %+v are %d", q, n)
				}
				if q.Marker = page.Marker; q.Marker == "" {
					break
				}
			}
			q.Marker = ""
		}
	}
}
