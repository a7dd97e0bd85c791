package postgres_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// TestSealedValuesByTheirIndex: pages of every column are read and replaced by index,
// each value once.
func TestSealedValuesByTheirIndex(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), postgrestest.New(t)
	want := map[string]bool{}
	for i := range 7 {
		account, key := fmt.Sprintf("account-%d", i%3), fmt.Sprintf("k/%d", i)
		if err := db.StoreAnswer(ctx, account, key, postgres.StoredAnswer{Request: []byte("r"), Response: []byte("sealed")}, time.Now()); err != nil {
			t.Fatal(err)
		}
		want[account+"/"+key] = true
	}
	got, after := map[string]bool{}, ""
	for {
		values, err := db.SealedValues(ctx, "idempotency_keys.response", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(values) == 0 {
			break
		}
		for _, v := range values {
			got[v.Key] = true
			if err := db.ReplaceSealed(ctx, "idempotency_keys.response", v, []byte("anew")); err != nil {
				t.Fatal(err)
			}
		}
		after = values[len(values)-1].Key
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values that were read (-want +got):\n%s", diff)
	}
	values, err := db.SealedValues(ctx, "idempotency_keys.response", "", 100)
	if err != nil || len(values) != 7 || string(values[6].Value) != "anew" {
		t.Errorf("values that were replaced = %v, %v", values, err)
	}
	for _, column := range postgres.SealedColumns() { // each reads, from its beginning and on
		for _, after := range []string{"", "00000000-0000-0000-0000-000000000000"} {
			if _, err := db.SealedValues(ctx, column, after, 2); err != nil {
				t.Errorf("SealedValues(%s, %q) = %v", column, after, err)
			}
		}
	}
	plan := func(sql string) (text string) {
		t.Helper()
		err := db.Transact(ctx, func(tx *postgres.DB) error {
			if _, err := tx.Tx().Exec(ctx, `SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off`); err != nil {
				return err
			}
			rows, err := tx.Tx().Query(ctx, "EXPLAIN "+sql)
			if err != nil {
				return err
			}
			lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
			text = strings.Join(lines, "\n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	read, replace := postgres.SealedSQL("launches.token_sealed")
	for _, sql := range []string{read, replace} {
		sql = strings.NewReplacer("@after", "'00000000-0000-0000-0000-000000000000'", "@key", "'00000000-0000-0000-0000-000000000000'", "@limit", "5", "@value", "'x'", "@before", "'y'").Replace(sql)
		if got := plan(sql); !strings.Contains(got, "launches_pkey") || strings.Contains(got, "Seq Scan") {
			t.Errorf("the plan of %s does not go by the index:\n%s", sql, got)
		}
	}
}
