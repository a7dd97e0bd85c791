package notify

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

// rule has a kind wanted.
func rule(t *testing.T, db *postgres.DB, name string, kinds ...string) {
	t.Helper()
	if kinds == nil {
		kinds = []string{}
	}
	_, err := db.Pool().Exec(t.Context(), `
		INSERT INTO notification_rules (id, name, name_key, kinds, group_seconds, repeat_seconds, created_at, created_by, updated_at, updated_by)
		VALUES (gen_random_uuid(), @name, @name, @kinds, 0, 0, now(), 'neo', now(), 'neo')`, pgx.NamedArgs{"name": name, "kinds": kinds})
	if err != nil {
		t.Fatal(err)
	}
}

// texts returns what the notices say, oldest first.
func texts(t *testing.T, db *postgres.DB) string {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(), `SELECT text FROM notices ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, "|")
}

func TestRecord(t *testing.T) {
	t.Parallel()
	db, ctx := postgrestest.New(t), t.Context()
	record := func(events ...Event) {
		t.Helper()
		if err := Record(ctx, db, events...); err != nil {
			t.Fatal(err)
		}
	}
	quota := Event{Kind: constellation.NoticeQuotaNear, Subject: "owner", ID: "neo", Name: "neo", Text: "91 % of 10 GB", Once: "neo"}
	record(quota)
	if got := texts(t, db); got != "" {
		t.Errorf("without a rule there are notices: %s", got)
	}
	rule(t, db, "quotas", "quota.near", "import.failed")
	record(quota, quota)
	record(quota)
	record(Event{Kind: constellation.NoticeBackupFailed, Subject: "backup", ID: "b", Name: "b", Text: "no rule is for it"})
	record(Event{Kind: constellation.NoticeImportFailed, Subject: "algorithm_version", ID: "v", Name: "v\r\nBcc: all", Text: "one\r\ntwo\x00" + strings.Repeat("x", 600)})
	want := "91 % of 10 GB"
	got := texts(t, db)
	first, second, _ := strings.Cut(got, "|")
	if first != want || !strings.HasPrefix(second, "one  two"+strings.Repeat("x", 100)) || len([]rune(second)) != maxText {
		t.Errorf("the notices are %q", got)
	}
	if _, err := db.Pool().Exec(ctx, `UPDATE notice_marks SET until = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	record(quota)
	if got := strings.Count(texts(t, db), want); got != 2 {
		t.Errorf("%d notices after the day is over, want 2", got)
	}
	rolledBack := errors.New("no")
	err := db.Transact(ctx, func(tx *postgres.DB) error {
		if err := Record(context.WithoutCancel(ctx), tx, Event{Kind: constellation.NoticeImportFailed, Subject: "s", ID: "i", Name: "n", Text: "never was", At: time.Now()}); err != nil {
			return err
		}
		return rolledBack
	})
	if !errors.Is(err, rolledBack) || strings.Contains(texts(t, db), "never was") {
		t.Errorf("a transaction that was given up: %v, %s", err, texts(t, db))
	}
}
