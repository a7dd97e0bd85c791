package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// BenchmarkSatellites lists and searches 100,000 satellites.
func BenchmarkSatellites(b *testing.B) {
	ctx, url := b.Context(), postgrestest.URL(b)
	c, err := pgx.Connect(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	_, err = c.Exec(ctx, `
		INSERT INTO satellites (id, name, name_key, expires_at, created_at, created_by, updated_at, updated_by, revision, latest_version)
		SELECT gen_random_uuid(), 'Satellite ' || md5(i::text), 'satellite ' || md5(i::text), now() + interval '1 year',
			now() - i * interval '1 second', 'bench', now(), 'bench', 1, 1
		FROM generate_series(1, 100000) i;
		INSERT INTO satellite_versions (satellite_id, number, created_at, created_by) SELECT id, 1, created_at, 'bench' FROM satellites;
		ANALYZE`)
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Close(context.WithoutCancel(ctx)); err != nil {
		b.Fatal(err)
	}
	db, err := postgres.Open(ctx, url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(db.Close)
	middle := &postgres.Position{Key: "satellite 8", ID: "80000000-0000-4000-8000-000000000000"}
	for name, l := range map[string]postgres.List{
		"first":         {Sort: "name", Limit: 51},
		"middle":        {Sort: "name", Limit: 51, After: middle},
		"newest":        {Sort: "created_at", Desc: true, Limit: 51},
		"search-many":   {Sort: "name", Limit: 51, Q: "ab"},
		"search-few":    {Sort: "name", Limit: 51, Q: "abcde"},
		"search-none":   {Sort: "created_at", Limit: 51, Q: "not there"},
		"search-middle": {Sort: "name", Limit: 51, Q: "abcd", After: middle},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := db.Satellites(ctx, "", postgres.RunFilter{}, l); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
