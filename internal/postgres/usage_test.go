package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// openBoth connects twice to a database of its own: by our package, which tells what it
// asks, and past it.
func openBoth(t *testing.T, asks func(string)) (*postgres.DB, *pgx.Conn) {
	t.Helper()
	url := postgrestest.URL(t)
	db, err := postgres.OpenTraced(t.Context(), url, asks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return db, c
}

// fewRepositories is enough that no planner reads them from end to end for a page.
const fewRepositories = 5000

// fillRegistry notes that many repositories, of a tenth as many owners, have an image of
// three blobs each, one of which its owner's others have too. It is quicker than pushes:
// the sums are made anew at the end.
func fillRegistry(ctx context.Context, c *pgx.Conn, repositories int) error {
	_, err := c.Exec(ctx, fmt.Sprintf(`
		BEGIN;
		ALTER TABLE registry_links DISABLE TRIGGER USER;
		CREATE TEMP TABLE made ON COMMIT DROP AS SELECT 'owner-' || i / 10 || '/algorithm-' || i AS repository, i,
			'sha256:' || encode(sha256(('m' || i)::bytea), 'hex') AS manifest, 'sha256:' || encode(sha256(('l' || i)::bytea), 'hex') AS layer,
			'sha256:' || encode(sha256(('b' || i / 10)::bytea), 'hex') AS base FROM generate_series(0, %d - 1) i;
		INSERT INTO registry_blobs (digest, size, touched_at)
			SELECT manifest, 500, now() - interval '60 days' FROM made UNION ALL SELECT layer, 10000 + i, now() - interval '60 days' FROM made
			UNION ALL SELECT DISTINCT base, 1000000, now() - interval '60 days' FROM made;
		INSERT INTO registry_links (repository, digest)
			SELECT repository, manifest FROM made UNION ALL SELECT repository, layer FROM made UNION ALL SELECT repository, base FROM made;
		INSERT INTO registry_manifests (repository, digest) SELECT repository, manifest FROM made;
		INSERT INTO registry_parts (repository, manifest, digest) SELECT repository, manifest, layer FROM made UNION ALL SELECT repository, manifest, base FROM made;
		ALTER TABLE registry_links ENABLE TRIGGER USER;
		COMMIT`, repositories))
	return err
}

// TestUsageIsReadFromSums asks for what the registry takes with many repositories: no
// table of them is read from end to end, and the sums are right.
func TestUsageIsReadFromSums(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var asked []string
	db, c := openBoth(t, func(sql string) { asked = append(asked, sql) })
	if err := fillRegistry(ctx, c, fewRepositories); err != nil {
		t.Fatal(err)
	}
	if err := db.RecountSums(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(ctx, `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	total, err := db.TotalUsage(ctx)
	const blobs, size = 2*fewRepositories + fewRepositories/10, fewRepositories*(500+10000) + fewRepositories*(fewRepositories-1)/2 + fewRepositories/10*1_000_000
	if err != nil || *total != (constellation.SpaceUse{Blobs: blobs, Bytes: size}) {
		t.Errorf("all takes %+v, %v, want %d blobs of %d bytes", total, err, blobs, size)
	}
	asked = nil
	most := postgres.List{Sort: "bytes", Desc: true, Limit: 21}
	for _, ask := range []func() error{
		func() error { _, err := db.TotalUsage(ctx); return err },
		func() error { _, err := db.OwnerUsePage(ctx, most); return err },
		func() error { _, err := db.RepositoryUsePage(ctx, most); return err },
		func() error { _, err := db.OwnerRoom(ctx, "owner-7"); return err },
		func() error { _, err := db.OwnerUse(ctx, "owner-7"); return err },
		func() error { _, err := db.FoundGarbage(ctx); return err },
		func() error { _, err := db.Collections(ctx, 10); return err },
	} {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	if len(asked) != 7 {
		t.Fatalf("the database was asked %d times, want 7: %q", len(asked), asked)
	}
	for _, sql := range asked {
		rows, err := c.Query(ctx, "EXPLAIN "+sql, pgx.NamedArgs{"limit": 21, "owner": "owner-7"})
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		for _, large := range []string{"registry_blobs", "registry_links", "registry_manifests", "registry_usage", "registry_owner_usage", "registry_owner_blobs"} {
			if strings.Contains(text, "Seq Scan on "+large+" ") {
				t.Errorf("%s is read from end to end by\n%s\nplanned as\n%s", large, sql, text)
			}
		}
	}
}

var (
	farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	errRolled = errors.New("rolled back")
)

// TestSumsUnderWriters adds and removes blobs and links from many connections, of which
// some roll back: afterwards every sum is right to the byte, and while they are at it
// none waits for the sum of all.
func TestSumsUnderWriters(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := postgrestest.New(t)
	const writers, rounds = 8, 40
	digest := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				n := rand.IntN(60)
				repository := fmt.Sprintf("owner-%d/algorithm-%d", rand.IntN(3), rand.IntN(3))
				roll := rand.IntN(4) == 0
				err := db.Transact(ctx, func(tx *postgres.DB) error {
					if rand.IntN(3) > 0 {
						if err := tx.UpsertBlob(ctx, constellation.StoredBlob{Digest: digest(n), Size: int64(100 + n)}); err != nil {
							return err
						}
						if _, err := tx.InsertLink(ctx, repository, digest(n)); err != nil {
							return err
						}
					} else if seized, err := tx.SeizeBlob(ctx, digest(n), farFuture); err != nil {
						return err
					} else if seized {
						links, err := tx.LinksOf(ctx, digest(n))
						if err != nil {
							return err
						}
						if len(links) > 0 { // one at a time, as garbage collections do
							err = tx.DeleteLink(ctx, links[0], digest(n))
						} else {
							err = tx.DeleteBlob(ctx, digest(n))
						}
						if err != nil {
							return err
						}
					}
					if roll {
						return errRolled
					}
					return nil
				})
				if err != nil && !errors.Is(err, errRolled) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if faults, err := db.SumFaults(ctx, 10); err != nil || len(faults) != 0 {
		t.Errorf("after all of them these sums differ: %+v, %v", faults, err)
	}
	if total, err := db.TotalUsage(ctx); err != nil || total.Blobs == 0 {
		t.Errorf("all takes %+v, %v; want some", total, err)
	}

	// A transaction that holds the sum of all up holds nobody else up.
	err := db.Transact(ctx, func(tx *postgres.DB) error {
		if err := tx.UpsertBlob(ctx, constellation.StoredBlob{Digest: digest(1000), Size: 1}); err != nil {
			return err
		}
		for n := range 3 {
			if err := db.UpsertBlob(ctx, constellation.StoredBlob{Digest: digest(1001 + n), Size: 1}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if faults, err := db.SumFaults(ctx, 10); err != nil || len(faults) != 0 {
		t.Errorf("these sums differ: %+v, %v", faults, err)
	}
}

// TestSumsAreMended finds sums that differ from what they are of, and makes them anew.
func TestSumsAreMended(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db, c := openBoth(t, func(string) {})
	for n, repository := range []string{"neo/one", "neo/two", "acme/one"} {
		b := constellation.StoredBlob{Digest: fmt.Sprintf("sha256:%064x", n/2), Size: 100}
		if err := db.UpsertBlob(ctx, b); err != nil {
			t.Fatal(err)
		}
		if _, err := db.InsertLink(ctx, repository, b.Digest); err != nil {
			t.Fatal(err)
		}
	}
	if faults, err := db.SumFaults(ctx, 10); err != nil || len(faults) != 0 {
		t.Fatalf("at first these sums differ: %+v, %v", faults, err)
	}
	if _, err := c.Exec(ctx, `
		UPDATE registry_totals SET bytes = bytes + 7 WHERE part = (SELECT min(part) FROM registry_totals);
		UPDATE registry_owner_usage SET bytes = 1 WHERE owner = 'neo';
		DELETE FROM registry_usage WHERE repository = 'acme/one';
		UPDATE registry_owner_blobs SET repositories = 5 WHERE owner = 'acme';
		INSERT INTO registry_usage (repository, owner, blobs, bytes) VALUES ('gone/x', 'gone', 1, 2)`); err != nil {
		t.Fatal(err)
	}
	want := []postgres.SumFault{
		{Of: postgres.SumOfAll, Blobs: 2, Bytes: 207, FoundBlobs: 2, FoundBytes: 200},
		{Of: postgres.SumOfOwnerBlobs, Name: "acme", Blobs: 1, Bytes: 5, FoundBlobs: 1, FoundBytes: 1},
		{Of: postgres.SumOfOwner, Name: "neo", Blobs: 1, Bytes: 1, FoundBlobs: 1, FoundBytes: 100},
		{Of: postgres.SumOfRepository, Name: "acme/one", FoundBlobs: 1, FoundBytes: 100},
		{Of: postgres.SumOfRepository, Name: "gone/x", Blobs: 1, Bytes: 2},
	}
	faults, err := db.SumFaults(ctx, 10)
	if diff := cmp.Diff(want, faults); err != nil || diff != "" {
		t.Errorf("the sums that differ (%v):\n%s", err, diff)
	}
	if err := db.RecountSums(ctx); err != nil {
		t.Fatal(err)
	}
	if faults, err := db.SumFaults(ctx, 10); err != nil || len(faults) != 0 {
		t.Errorf("made anew these sums differ: %+v, %v", faults, err)
	}
	if err := db.DeleteLink(ctx, "neo/one", fmt.Sprintf("sha256:%064x", 0)); err != nil {
		t.Errorf("counted on: %v", err)
	}
}
