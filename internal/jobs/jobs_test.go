package jobs

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// errand is a job of these tests.
type errand struct {
	Name string `json:"name"`
}

// Kind is part of river.JobArgs.
func (errand) Kind() string { return "errand" }

// schemaQuery lists every column, index and constraint of River's tables.
const schemaQuery = `
	SELECT format('%s.%s %s %s default %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, coalesce(pg_get_expr(d.adbin, d.adrelid), 'none')) AS line
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
	WHERE c.relname LIKE 'river\_%' AND c.relkind = 'r' AND c.relname <> 'river_migration'
	UNION ALL SELECT format('%s persists %s', relname, relpersistence) FROM pg_class WHERE relname LIKE 'river\_%' AND relkind = 'r' AND relname <> 'river_migration'
	UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'river\_%' AND tablename <> 'river_migration'
	UNION ALL SELECT format('%s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid::regclass::text LIKE 'river\_%' AND conrelid::regclass::text <> 'river_migration' AND contype <> 'n'
	UNION ALL SELECT format('%s %s %s', t.typname, e.enumlabel, row_number() OVER (ORDER BY e.enumsortorder)) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid WHERE t.typname LIKE 'river\_%'
	UNION ALL SELECT regexp_replace(prosrc, '\s+', ' ', 'g') FROM pg_proc WHERE proname LIKE 'river\_%'
	ORDER BY line`

func schema(t *testing.T, url string) []string {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // only read
	rows, err := c.Query(t.Context(), schemaQuery)
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// TestOurSchemaIsRivers: our one migration makes what all of River's make, so that
// a newer River whose migrations go on needs one of ours.
func TestOurSchemaIsRivers(t *testing.T) {
	t.Parallel()
	url := postgrestest.EmptyURL(t)
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	migrator, err := rivermigrate.New(riverpgxv5.New(db.Pool()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := migrator.Migrate(t.Context(), rivermigrate.DirectionUp, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(schema(t, url), schema(t, postgrestest.URL(t))); diff != "" {
		t.Errorf("our schema of jobs is not River's (-River's +ours):\n%s", diff)
	}
}

func newQueue(t *testing.T, db *postgres.DB) *Queue {
	t.Helper()
	q, err := NewQueue(db)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// start runs jobs, until the test ends.
func start(t *testing.T, db *postgres.DB, c Config, work func(context.Context, *river.Job[errand]) error) *Runner {
	t.Helper()
	set := c.Set
	if set == nil {
		set = &Set{}
	}
	Add(set, Kind[errand]{Work: work})
	c.DB, c.Set = db, set
	r, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), waittest.Timeout)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// names returns work that tells which errands were run.
func names(ran chan<- string) func(context.Context, *river.Job[errand]) error {
	return func(_ context.Context, job *river.Job[errand]) error {
		ran <- job.Args.Name
		return nil
	}
}

// TestAJobIsPartOfItsTransaction: it exists exactly when that commits.
func TestAJobIsPartOfItsTransaction(t *testing.T) {
	t.Parallel()
	for _, pollOnly := range []bool{false, true} {
		db := postgrestest.New(t)
		q, ran, refused := newQueue(t, db), make(chan string, 9), errors.New("refused")
		start(t, db, Config{PollOnly: pollOnly}, names(ran))
		for name, want := range map[string]error{"undone": refused, "done": nil} {
			err := db.Transact(t.Context(), func(tx *postgres.DB) error {
				if _, err := q.Insert(t.Context(), tx, errand{name}, nil); err != nil {
					return err
				}
				return want
			})
			if !errors.Is(err, want) {
				t.Fatal(err)
			}
		}
		if _, err := q.Insert(t.Context(), db, errand{"last"}, &river.InsertOpts{Priority: 4}); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{waittest.Receive(t, "a job", ran): true, waittest.Receive(t, "a job", ran): true}
		if diff := cmp.Diff(map[string]bool{"done": true, "last": true}, got); diff != "" {
			t.Errorf("jobs that ran, poll only %v (-want +got):\n%s", pollOnly, diff)
		}
	}
}

// hourly is a job that is due by the clock.
type hourly struct{}

// Kind is part of river.JobArgs.
func (hourly) Kind() string { return "hourly" }

// TestWhatIsDueRunsOnceOverAllServers, and not again when another is elected.
func TestWhatIsDueRunsOnceOverAllServers(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	var runs atomic.Int64
	begun := make(chan string, 9)
	server := func() *Runner {
		set := &Set{}
		Add(set, Kind[hourly]{Every: time.Hour, Work: func(context.Context, *river.Job[hourly]) error {
			runs.Add(1)
			begun <- "hourly"
			return nil
		}})
		r, err := Start(t.Context(), Config{DB: db, Set: set})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	servers := []*Runner{server(), server(), server()}
	waittest.Receive(t, "the job that is due", begun)
	for _, r := range servers { // each in turn gives way to the next as leader
		waittest.Until(t, "a leader", func() bool { return leader(t, db) != "" })
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := runs.Load(); got != 1 && time.Now().UTC().Minute() != 0 { // the hour may have ended meanwhile
		t.Errorf("a job of each hour ran %d times on three servers, want once", got)
	}
	if left, err := db.Servers(t.Context(), time.Hour); err != nil || len(left) != 0 {
		t.Errorf("servers after all have ended = %v, %v; want none", left, err)
	}
}

func leader(t *testing.T, db *postgres.DB) (id string) {
	t.Helper()
	err := db.Pool().QueryRow(t.Context(), `SELECT coalesce((SELECT leader_id FROM river_leader WHERE expires_at > now()), '')`).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestTheJobOfAServerThatIsGoneIsTakenOver, and given up when it has no attempt
// left: it may be what ends its servers.
func TestTheJobOfAServerThatIsGoneIsTakenOver(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	q, held := newQueue(t, db), make(chan string, 9)
	gone := abandon(t, db, held)
	for _, job := range []struct {
		name     string
		attempts int
	}{{"often", 3}, {"once", 1}} {
		if _, err := q.Insert(t.Context(), db, errand{job.name}, &river.InsertOpts{MaxAttempts: job.attempts}); err != nil {
			t.Fatal(err)
		}
		waittest.Receive(t, "a job on the server that goes", held)
	}
	gone()
	ran := make(chan string, 9)
	start(t, db, Config{goneAfter: 300 * time.Millisecond, keepPeriod: 50 * time.Millisecond}, names(ran))
	if got := waittest.Receive(t, "the job that another server left", ran); got != "often" {
		t.Errorf("the job taken over = %q, want often", got)
	}
	waittest.Until(t, "a job that was given up", func() bool {
		counts, err := db.JobCounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Equal(counts, []postgres.JobCount{{Kind: "errand", State: "discarded", Jobs: 1}})
	})
}

// abandon runs jobs as a server does that nobody sees, and never ends one; gone
// makes it take no more.
func abandon(t *testing.T, db *postgres.DB, held chan<- string) (gone func()) {
	t.Helper()
	set, forever := &Set{}, make(chan struct{})
	Add(set, Kind[errand]{Work: func(_ context.Context, job *river.Job[errand]) error {
		held <- job.Args.Name
		waittest.Hold(t, forever)
		return errors.New("let go")
	}})
	client, err := river.NewClient(riverpgxv5.New(db.Pool()), &river.Config{Workers: set.workers, Queues: set.queues, Logger: quiet(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { close(forever); <-client.Stopped() })
	return func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = client.Stop(ctx) // its jobs hang
	}
}

// TestStopLetsJobsEnd within the grace, and ends their contexts after it.
func TestStopLetsJobsEnd(t *testing.T) {
	t.Parallel()
	for _, grace := range []time.Duration{time.Minute, 0} {
		db := postgrestest.New(t)
		begun, end, ended := make(chan string, 1), make(chan struct{}), make(chan error, 1)
		set := &Set{}
		Add(set, Kind[errand]{Work: func(ctx context.Context, job *river.Job[errand]) error {
			begun <- job.Args.Name
			select {
			case <-end:
			case <-ctx.Done():
			}
			ended <- ctx.Err()
			return ctx.Err()
		}})
		r, err := Start(t.Context(), Config{DB: db, Set: set, Grace: grace})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := newQueue(t, db).Insert(t.Context(), db, errand{"slow"}, nil); err != nil {
			t.Fatal(err)
		}
		waittest.Receive(t, "the job", begun)
		stopped := make(chan error, 1)
		go func() { stopped <- r.Stop(context.WithoutCancel(t.Context())) }()
		if grace > 0 {
			close(end)
		}
		if err := waittest.Receive(t, "the job's end", ended); (err != nil) != (grace == 0) {
			t.Errorf("a job under way at a stop with %s of grace ended with %v", grace, err)
		}
		if err := waittest.Receive(t, "the stop", stopped); err != nil {
			t.Error(err)
		}
	}
}

// TestAServerThatCannotShowItselfEndsItsJobs: another one runs them by then.
func TestAServerThatCannotShowItselfEndsItsJobs(t *testing.T) {
	t.Parallel()
	l := newLease()
	l.renew(time.Now())
	begun, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- l.Work(t.Context(), nil, func(ctx context.Context) error {
			close(begun)
			<-ctx.Done()
			return ctx.Err()
		})
	}()
	waittest.Receive(t, "the job", begun)
	l.endWhenOlder(time.Hour)
	select {
	case err := <-ended:
		t.Fatalf("a job of a server that was heard just now ended: %v", err)
	default:
	}
	l.endWhenOlder(0)
	if err := waittest.Receive(t, "the job's end", ended); !errors.Is(err, errLeaseLost) {
		t.Errorf("a job of a server that was not heard = %v, want %v", err, errLeaseLost)
	}
}
