package control_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// largeTables are those that grow with what users do.
var largeTables = []string{
	"satellites", "satellite_versions", "satellite_algorithms", "satellite_keys", "launches", "launch_index", "launch_reports", "launch_history", "events", "algorithm_versions",
}

// How many rows a page of 25 may read of a large table. A search reads on until
// it has found a page's worth, and what it looks for may stand together, far
// from the start of the order; that is read from an index.
const (
	mostRows  = 600
	mostShare = 1 // of the satellites, for a search
)

// scale is a large database whose reads are counted.
type scale struct {
	t     *testing.T
	url   string
	stats *pgx.Conn
}

// reads is what has been read of a table.
type reads struct{ Sequential, ByIndex int64 }

func newScale(t *testing.T, satellites int) *scale {
	t.Helper()
	ctx := t.Context()
	s := &scale{t: t, url: postgrestest.URL(t)}
	db, err := postgres.Open(ctx, s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Seed(ctx, postgres.Seed{
		Satellites: satellites, Launches: 3 * satellites, Reports: satellites, Now: time.Now(),
		Token: func(launchID, _ string) ([]byte, string, error) { return []byte{1}, auth.HashKey(launchID), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.stats, err = pgx.Connect(ctx, s.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.stats.Close(context.WithoutCancel(ctx)) })
	return s
}

// read returns what use reads of each large table, as PostgreSQL counted it.
func (s *scale) read(use func(*control.Service) error) map[string]reads {
	s.t.Helper()
	ctx := s.t.Context()
	before := s.counts()
	db, err := postgres.Open(ctx, s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	err = use(control.New(control.Options{DB: db}))
	db.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	// A connection's counts are added up when it ends.
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		var others int
		if err := s.stats.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'constellation'`).Scan(&others); err != nil {
			s.t.Fatal(err)
		}
		if others == 0 {
			break
		}
		if time.Now().After(deadline) {
			s.t.Fatal("a connection did not end")
		}
	}
	after := s.counts()
	for table, then := range before {
		now := after[table]
		after[table] = reads{now.Sequential - then.Sequential, now.ByIndex - then.ByIndex}
	}
	return after
}

func (s *scale) counts() map[string]reads {
	s.t.Helper()
	rows, err := s.stats.Query(s.t.Context(), `
		SELECT t.relname, coalesce(t.seq_tup_read, 0), coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid), 0)::bigint
		FROM pg_stat_user_tables t WHERE t.relname = ANY ($1)`, largeTables)
	if err != nil {
		s.t.Fatal(err)
	}
	counts := map[string]reads{}
	var table string
	var r reads
	if _, err := pgx.ForEachRow(rows, []any{&table, &r.Sequential, &r.ByIndex}, func() error {
		counts[table] = r
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	return counts
}

// TestNothingReadsALargeTableWhole runs every list, in every order, forwards,
// backwards and from the middle, with and without a search, and counts what
// PostgreSQL read for it.
func TestNothingReadsALargeTableWhole(t *testing.T) {
	t.Parallel()
	satellites := 20_000
	if n, err := strconv.Atoi(os.Getenv("CONSTELLATION_SCALE")); err == nil {
		satellites = n
	}
	s := newScale(t, satellites)
	ctx, shell := t.Context(), control.Shell()
	var satelliteID, launchID string
	check := func(name, q string, use func(*control.Service) error) {
		t.Helper()
		most := int64(mostRows)
		if q != "" {
			most += mostShare*int64(satellites) + mostRows // beside what the page itself and its count read
		}
		for table, r := range s.read(use) {
			if r.Sequential > 0 {
				t.Errorf("%s reads %s from its start to its end: %d rows", name, table, r.Sequential)
			}
			if r.ByIndex > most {
				t.Errorf("%s reads %d rows of %s", name, r.ByIndex, table)
			}
		}
	}
	// The first page finds the ids for what follows.
	check("first page", "", func(c *control.Service) error {
		page, err := c.ListSatellites(ctx, shell, control.ListQuery{})
		if err != nil {
			return err
		}
		satelliteID = page.Items[0].ID
		launches, err := c.ListLaunches(ctx, shell, satelliteID, control.ListQuery{})
		if err == nil {
			launchID = launches.Items[0].ID
		}
		return err
	})
	searches := []string{"", "e", "ed", "edge", "edge b", "000123", "zz", "nothing has this", "łódź", "%%%", "_x_", "---"}
	lists := map[string]struct {
		sorts []string
		list  func(*control.Service, control.ListQuery) (string, error)
	}{
		"satellites": {[]string{"name", "created_at", "updated_at", "expires_at", "latest_version", "launches", "up", "degraded", "stale"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListSatellites(ctx, shell, q)
			return page.Marker, err
		}},
		"launches": {[]string{"name", "created_at", "last_seen_at", "satellite_version"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListLaunches(ctx, shell, satelliteID, q)
			return page.Marker, err
		}},
		"keys": {[]string{"name", "created_at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListSatelliteKeys(ctx, shell, satelliteID, q)
			return page.Marker, err
		}},
		"algorithms": {[]string{"name", "created_at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListAlgorithms(ctx, shell, q)
			return page.Marker, err
		}},
		"events": {[]string{"at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListEvents(ctx, shell, control.EventQuery{ListQuery: q})
			return page.Marker, err
		}},
		"events of a satellite": {[]string{"at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListEvents(ctx, shell, control.EventQuery{ListQuery: q, TargetKind: "satellite", TargetID: satelliteID})
			return page.Marker, err
		}},
		"events by an action": {[]string{"at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListEvents(ctx, shell, control.EventQuery{ListQuery: q, Action: "satellite.create"})
			return page.Marker, err
		}},
		"events of a kind by nobody": {[]string{"at"}, func(c *control.Service, q control.ListQuery) (string, error) {
			page, err := c.ListEvents(ctx, shell, control.EventQuery{ListQuery: q, TargetKind: "account", Actor: "nobody"})
			return page.Marker, err
		}},
	}
	for name, list := range lists {
		for _, sort := range list.sorts {
			for _, direction := range []string{"", "-"} {
				for _, q := range searches {
					if direction != "" && len(q) > 2 && q != "edge" {
						continue // the same plans
					}
					query := control.ListQuery{Sort: direction + sort, Q: q, Limit: 25}
					check(fmt.Sprintf("%s by %s searched for %q", name, query.Sort, q), q, func(c *control.Service) error {
						var err error
						query.Marker, err = list.list(c, query)
						return err
					})
					if query.Marker == "" {
						continue
					}
					check(fmt.Sprintf("%s by %s searched for %q, second page", name, query.Sort, q), q, func(c *control.Service) error {
						_, err := list.list(c, query)
						return err
					})
				}
			}
		}
	}
	for name, use := range map[string]func(*control.Service) error{
		"a satellite": func(c *control.Service) error { _, err := c.GetSatellite(ctx, shell, satelliteID); return err },
		"its versions": func(c *control.Service) error {
			_, err := c.ListSatelliteVersions(ctx, shell, satelliteID, control.ListQuery{})
			return err
		},
		"a launch": func(c *control.Service) error {
			_, _, err := c.GetLaunchReport(ctx, shell, satelliteID, launchID)
			return err
		},
		"a launch history": func(c *control.Service) error {
			_, err := c.GetLaunchHistory(ctx, shell, satelliteID, launchID, "", "")
			return err
		},
	} {
		check(name, "", use)
	}
	stats := s.read(func(c *control.Service) error { _, err := c.Stats(ctx); return err })
	for _, table := range []string{"satellites", "launches"} {
		if satellites > 10_000 && stats[table].Sequential+stats[table].ByIndex > 0 {
			t.Errorf("the totals read %+v of %s", stats[table], table)
		}
	}
}
