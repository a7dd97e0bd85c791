package control_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// ownHouse is a house whose database's URL is known.
func ownHouse(t *testing.T) (*house, string) {
	t.Helper()
	h, url := newHouse(t), postgrestest.URL(t)
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	h.db, h.options.DB = db, db
	h.Service = control.New(h.options)
	return h, url
}

// linked links all that is in the log, and returns what a look at it finds.
func (h *house) linked(t *testing.T, noted ...constellation.AuditLink) *control.AuditReport {
	t.Helper()
	for {
		n, err := h.LinkAudit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	report, err := h.VerifyAudit(t.Context(), noted)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// tamper does as somebody who may write to the database.
func tamper(t *testing.T, url string, statements ...string) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // of a test
	for _, statement := range append([]string{"SET session_replication_role = replica"}, statements...) {
		if _, err := connection.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// What is changed, taken out or put in shows, and what was written by many at once,
// or by an older release, is whole.
func TestTheAuditLogIsChained(t *testing.T) {
	t.Parallel()
	h, url := ownHouse(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := h.CreateAccount(t.Context(), control.Shell(), control.NewAccount{Username: fmt.Sprint("user-", i), Role: constellation.RoleViewer}); err != nil {
				t.Error(err)
			}
			if i%5 == 0 { // another server, at the same moment
				if _, err := control.New(h.options).LinkAudit(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	whole := h.linked(t)
	if whole.Rows < 20 || whole.Pending != 0 || len(whole.Problems) > 0 || whole.Head.Seq != whole.Rows {
		t.Fatalf("the log is %+v", whole)
	}
	if again := h.linked(t, whole.Head); len(again.Problems) > 0 || again.Head.String() != whole.Head.String() {
		t.Errorf("looked at again: %+v", again)
	}
	for name, test := range map[string]struct{ do, undo, want string }{
		"changed":       {"CREATE TABLE was AS SELECT id, actor FROM events; UPDATE events SET actor = 'eve' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 3)", "UPDATE events SET actor = was.actor FROM was WHERE was.id = events.id", "row 3 ("},
		"taken out":     {"CREATE TABLE kept AS SELECT * FROM events WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 4); DELETE FROM events WHERE id IN (SELECT id FROM kept)", "INSERT INTO events OVERRIDING SYSTEM VALUE SELECT * FROM kept", "row 4 is gone"},
		"put in":        {"INSERT INTO events (at, actor, action, target_kind, target_id, target_name, address) VALUES (now(), 'eve', 'b', 'c', 'd', 'put', '')", "DELETE FROM events WHERE target_name = 'put'", "1 rows were put into the log past its chain"},
		"cut off":       {"CREATE TABLE cut AS SELECT * FROM audit_chain WHERE seq = (SELECT max(seq) FROM audit_chain); DELETE FROM audit_chain WHERE seq IN (SELECT seq FROM cut)", "INSERT INTO audit_chain SELECT * FROM cut", "is not there: the log ends at"},
		"without links": {"CREATE TABLE out AS SELECT * FROM audit_chain WHERE seq = 7; DELETE FROM audit_chain WHERE seq = 7", "INSERT INTO audit_chain SELECT * FROM out", "rows 7 to 7 are gone"},
	} {
		tamper(t, url, test.do)
		report, err := h.VerifyAudit(t.Context(), []constellation.AuditLink{whole.Head})
		if err != nil || !strings.Contains(strings.Join(report.Problems, "\n"), test.want) {
			t.Errorf("%s: %+v, %v; want %q", name, report, err, test.want)
		}
		tamper(t, url, test.undo)
	}
	if report := h.linked(t, whole.Head); len(report.Problems) > 0 {
		t.Errorf("as it was: %q", report.Problems)
	}
	// Somebody who computes everything anew is found by the link that was noted.
	tamper(t, url, "UPDATE events SET actor = 'eve' WHERE id = (SELECT event_id FROM audit_chain WHERE seq = 3)", "DELETE FROM audit_chain", "INSERT INTO audit_pending SELECT id FROM events")
	if report := h.linked(t); len(report.Problems) > 0 {
		t.Errorf("computed anew: %q", report.Problems)
	}
	if report := h.linked(t, whole.Head); len(report.Problems) != 1 || !strings.Contains(report.Problems[0], "was noted") {
		t.Errorf("computed anew, beside the link of before: %q", report.Problems)
	}
}

// Retention takes the oldest rows, and the chain of the others stays whole.
func TestOldRowsOfTheAuditLogGo(t *testing.T) {
	t.Parallel()
	h, url := ownHouse(t)
	h.options.AuditRetention = 24 * time.Hour
	h.options.AuditStreams = []control.AuditStream{{Name: "kept", Send: func(context.Context, []constellation.AuditRecord) error { return errors.New("away") }}}
	streaming := control.New(h.options)
	h.account(t, "old", constellation.RoleViewer)
	first := h.linked(t)
	h.ahead(48 * time.Hour)
	h.account(t, "new", constellation.RoleViewer)
	last := h.linked(t)
	if err := h.db.StartAuditStream(t.Context(), "kept"); err != nil {
		t.Fatal(err)
	}
	if err := h.db.AdvanceAuditStream(t.Context(), "kept", 0); err != nil {
		t.Fatal(err)
	}
	if err := streaming.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report := h.linked(t, first.Head, last.Head); len(report.Problems) > 0 || report.Rows != last.Rows {
		t.Errorf("while a stream has yet to send them: %+v", report)
	}
	if err := h.db.AdvanceAuditStream(t.Context(), "kept", last.Head.Seq); err != nil {
		t.Fatal(err)
	}
	if err := streaming.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	report := h.linked(t, last.Head)
	if len(report.Problems) > 0 || report.Rows != last.Rows-first.Rows || report.Start.Seq != first.Head.Seq || report.Head.String() != last.Head.String() {
		t.Errorf("after retention: %+v", report)
	}
	if events := h.events(t); slices.ContainsFunc(events, func(e string) bool { return strings.Contains(e, "old") }) || len(events) == 0 {
		t.Errorf("the log has %q", events)
	}
	h.account(t, "newer", constellation.RoleViewer)
	if report := h.linked(t, last.Head); len(report.Problems) > 0 || report.Head.Seq != last.Head.Seq+1 {
		t.Errorf("a row later: %+v", report)
	}
	tamper(t, url, "DELETE FROM audit_chain", "DELETE FROM events")
	if report := h.linked(t, last.Head); len(report.Problems) != 1 {
		t.Errorf("with all rows gone: %q", report.Problems)
	}
}

// A stream sends each row once, in order, whichever server does; what a receiver did
// not take comes again.
func TestTheAuditLogIsSent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.account(t, "before", constellation.RoleViewer)
	h.linked(t)
	var mu sync.Mutex
	var got []int64
	refused := 0
	done := make(chan struct{})
	h.options.AuditStreams = []control.AuditStream{{Name: "test", Send: func(_ context.Context, records []constellation.AuditRecord) error {
		mu.Lock()
		defer mu.Unlock()
		if refused < 1 {
			refused++
			return errors.New("the receiver is away")
		}
		for i := range records {
			got = append(got, records[i].Seq)
		}
		if len(got) == 5 {
			close(done)
		}
		return nil
	}}}
	if err := h.db.StartAuditStream(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var servers sync.WaitGroup
	for range 3 {
		servers.Go(func() { control.New(h.options).Run(ctx) })
	}
	for i := range 5 {
		h.account(t, fmt.Sprint("after-", i), constellation.RoleViewer)
	}
	waittest.Receive(t, "five rows", done)
	cancel()
	servers.Wait()
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff([]int64{2, 3, 4, 5, 6}, got); diff != "" {
		t.Errorf("rows that were sent (-want +got):\n%s", diff)
	}
}
