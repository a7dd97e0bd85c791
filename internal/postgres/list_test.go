package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// pages are what a list may be asked for; the golden files have the SQL of each.
var pages = []struct {
	name string
	list postgres.List
}{
	{"first page", postgres.List{Limit: 51}},
	{"search", postgres.List{Q: "50% off", Limit: 51}},
	{"search in two letters", postgres.List{Q: "ab", Limit: 51}},
	{"next page", postgres.List{After: &postgres.Position{}, Limit: 51}},
	{"next page, descending, with a search and counted", postgres.List{Q: "edge", Desc: true, After: &postgres.Position{}, Limit: 51, Count: new(int)}},
}

// TestListsAreTheSQLOfTheirGoldenFiles runs each page of each list in each of
// its orders, and compares what PostgreSQL was asked.
func TestListsAreTheSQLOfTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var asked []string
	db, err := postgres.OpenTraced(ctx, postgrestest.URL(t), func(sql string) { asked = append(asked, sql) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	id := uuid.NewString()
	since := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	const never, number = "-infinity", "7"
	for _, test := range []struct {
		name string
		id   string            // of a row
		keys map[string]string // by what it may be sorted; a value of each
		list func(context.Context, postgres.List) error
	}{
		{"accounts", id, map[string]string{"name": "neo", "created_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Accounts(ctx, "", l)
			return err
		}},
		{"api_keys", id, map[string]string{"name": "neo", "created_at": never, "expires_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.APIKeys(ctx, id, l)
			return err
		}},
		{"algorithms", id, map[string]string{"name": "neo/hello", "created_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Algorithms(ctx, l)
			return err
		}},
		{"algorithm_versions", id, map[string]string{"git_hash": "0", "created_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.AlgorithmVersions(ctx, id, l)
			return err
		}},
		{"satellites", id, map[string]string{
			"name": "edge", "created_at": never, "updated_at": never, "expires_at": never,
			"latest_version": number, "launches": number, "up": number, "degraded": number, "stale": number,
		}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Satellites(ctx, "", postgres.RunFilter{}, l)
			return err
		}},
		{"one_satellite", id, map[string]string{"name": "edge"}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Satellites(ctx, id, postgres.RunFilter{}, l)
			return err
		}},
		{"satellite_versions", number, map[string]string{"number": number}, func(ctx context.Context, l postgres.List) error {
			_, err := db.SatelliteVersions(ctx, id, l)
			return err
		}},
		{"satellite_keys", id, map[string]string{"name": "billing", "created_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.SatelliteKeys(ctx, id, l)
			return err
		}},
		{"launches", id, map[string]string{"name": "berlin", "created_at": never, "satellite_version": number, "last_seen_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Launches(ctx, id, postgres.RunFilter{}, l)
			return err
		}},
		{"every_launch", id, map[string]string{"name": "berlin", "created_at": never, "last_seen_at": never, "behind_since": never, "status": "1berlin"}, func(ctx context.Context, l postgres.List) error {
			_, err := db.EveryLaunch(ctx, postgres.RunFilter{}, l)
			return err
		}},
		{"every_launch_narrowed", id, map[string]string{"name": "berlin", "behind_since": never, "status": "1berlin"}, func(ctx context.Context, l postgres.List) error {
			_, err := db.EveryLaunch(ctx, narrowest(id, since), l)
			return err
		}},
		{"satellites_narrowed", id, map[string]string{"name": "edge", "expires_at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Satellites(ctx, "", postgres.RunFilter{CreatedBy: "neo", ExpiresBefore: &since, ExpiresAfter: &since, Behind: new(true)}, l)
			return err
		}},
		{"events", number, map[string]string{"at": never}, func(ctx context.Context, l postgres.List) error {
			_, err := db.Events(ctx, postgres.EventFilter{Actor: "neo", Since: &since}, l)
			return err
		}},
		{"satellite_events", number, map[string]string{"": number}, func(ctx context.Context, l postgres.List) error {
			if l.Q != "" { // it has no search
				return nil
			}
			_, err := db.SatelliteEvents(ctx, id, id, l)
			return err
		}},
		{"uses", id, map[string]string{"name": "edge"}, func(ctx context.Context, l postgres.List) error {
			if l.Q != "" {
				return nil
			}
			_, err := db.Uses(ctx, id, l)
			return err
		}},
	} {
		var got strings.Builder
		for _, sort := range sorted(test.keys) {
			for _, page := range pages {
				l := page.list
				if l.Sort = sort; l.After != nil {
					l.After = &postgres.Position{Key: test.keys[sort], ID: test.id}
				}
				asked = nil
				if err := test.list(ctx, l); err != nil {
					t.Errorf("%s by %s, %s: %v", test.name, sort, page.name, err)
				}
				for _, sql := range asked {
					fmt.Fprintf(&got, "-- by %s: %s\n%s\n\n", sort, page.name, sql)
				}
			}
		}
		golden(t, filepath.Join("testdata", "list", test.name+".sql"), got.String())
	}
}

// narrowest narrows launches by all that there is.
func narrowest(id string, at time.Time) postgres.RunFilter {
	return postgres.RunFilter{
		AlgorithmID: id, OwnerKey: "neo", SatelliteID: id, CreatedBy: "neo", ExpiresBefore: &at, ExpiresAfter: &at, BehindBy: &at,
		Statuses: []constellation.LaunchStatus{constellation.LaunchStale, constellation.LaunchDegraded},
		Selector: constellation.LabelSelector{Requirements: []constellation.LabelRequirement{{Key: "region", Operator: constellation.LabelIn, Values: []string{"eu"}}}},
	}
}

func sorted(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

// TestPagesAreBoundedInBytes reads a list of long rows: no page has more than
// its bytes, and all rows are on one.
func TestPagesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, err := postgres.Open(ctx, postgrestest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	satellite := &constellation.Satellite{ID: uuid.NewString(), Name: "Edge", LatestVersion: constellation.SatelliteVersion{Number: 1}}
	if err := db.Transact(ctx, func(db *postgres.DB) error {
		if err := db.InsertSatellite(ctx, satellite); err != nil {
			return err
		}
		return db.InsertSatelliteVersion(ctx, satellite.ID, &satellite.LatestVersion, postgres.VersionIDs{})
	}); err != nil {
		t.Fatal(err)
	}
	const rows, long = 50, 100_000
	for i := range rows {
		description := strings.Repeat("é", long/2)
		if i%7 == 0 {
			description = strings.Repeat("é", postgres.MaxPageBytes) // alone too much
		}
		l := &constellation.Launch{ID: uuid.NewString(), SatelliteID: satellite.ID, SatelliteVersion: 1, Name: fmt.Sprintf("launch %02d", i), Description: description}
		if err := db.InsertLaunch(ctx, l, []byte{1}, l.ID); err != nil {
			t.Fatal(err)
		}
	}
	var seen, read int
	l := postgres.List{Sort: "name", Limit: rows + 1}
	for more := true; more; {
		l.Cut = &more
		page, err := db.Launches(ctx, satellite.ID, postgres.RunFilter{}, l)
		if err != nil || len(page) == 0 {
			t.Fatalf("a page of %d rows, %v", len(page), err)
		}
		size := 0
		for _, launch := range page {
			if want := fmt.Sprintf("launch %02d", seen); launch.Name != want {
				t.Fatalf("row %d is %s, want %s", seen, launch.Name, want)
			}
			seen++
			size += len(launch.Description)
		}
		if size > postgres.MaxPageBytes && len(page) > 1 {
			t.Errorf("a page has %d rows of %d bytes, want at most %d or one row", len(page), size, postgres.MaxPageBytes)
		}
		last := page[len(page)-1]
		l.After, read = &postgres.Position{Key: constellation.Fold(last.Name), ID: last.ID}, read+1
	}
	if seen != rows {
		t.Errorf("%d pages had %d rows, want %d", read, seen, rows)
	}
	l.After, l.Cut = nil, nil
	if all, err := db.Launches(ctx, satellite.ID, postgres.RunFilter{}, l); err != nil || len(all) != rows {
		t.Errorf("a page that nobody bounds has %d rows, %v; want %d", len(all), err, rows)
	}
}

// TestNamesAreLookedUpInTheirIndex plans the look-up of a name among many: no
// table is read from end to end.
func TestNamesAreLookedUpInTheirIndex(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), postgrestest.URL(t)
	var asked string
	db, err := postgres.OpenTraced(ctx, url, func(sql string) { asked = sql })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(ctx)) })
	if _, err := c.Exec(ctx, `
		INSERT INTO satellites (id, name, name_key, expires_at, created_at, created_by, updated_at, updated_by, revision, latest_version)
		SELECT gen_random_uuid(), i::text, i::text, now(), now(), 'test', now(), 'test', 1, 1 FROM generate_series(1, 5000) i;
		INSERT INTO satellite_versions (satellite_id, number, created_at, created_by) SELECT id, 1, created_at, 'test' FROM satellites;
		INSERT INTO launches (id, satellite_id, satellite_version, name, name_key, description, token_sealed, token_sha256, created_at, created_by, updated_at, updated_by, revision)
		SELECT gen_random_uuid(), s.id, 1, i::text, i::text, '', '', gen_random_uuid()::text, now(), 'test', now(), 'test', 1
		FROM generate_series(1, 5000) i, (SELECT id FROM satellites WHERE name_key = '1') s;
		INSERT INTO owners (id, name, name_key, created_at) VALUES (gen_random_uuid(), 'neo', 'neo', now());
		INSERT INTO algorithms (id, owner_id, name, repository, created_at, created_by)
		SELECT gen_random_uuid(), o.id, i::text, 'neo/' || i, now(), 'test' FROM generate_series(1, 5000) i, owners o;
		ANALYZE`); err != nil {
		t.Fatal(err)
	}
	var satelliteID string
	if err := c.QueryRow(ctx, `SELECT id FROM satellites WHERE name_key = '1'`).Scan(&satelliteID); err != nil {
		t.Fatal(err)
	}
	l := postgres.List{Name: "77", Sort: "created_at", Limit: 51}
	for what, list := range map[string]func() error{
		"satellites": func() error { _, err := db.Satellites(ctx, "", postgres.RunFilter{}, l); return err },
		"launches":   func() error { _, err := db.Launches(ctx, satelliteID, postgres.RunFilter{}, l); return err },
		"algorithms": func() error {
			l := l
			l.Name = "neo/none" // one that is there is asked for its versions too
			_, err := db.Algorithms(ctx, l)
			return err
		},
	} {
		if err := list(); err != nil {
			t.Fatal(err)
		}
		rows, err := c.Query(ctx, "EXPLAIN "+asked, pgx.NamedArgs{"name": "77", "limit": 51, "only_id": "", "near": 2000, "satellite_id": satelliteID})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index") || strings.Contains(text, "Seq Scan on "+what) {
			t.Errorf("looking up a name in %s is planned as\n%s", what, text)
		}
	}
}
