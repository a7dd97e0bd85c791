package api

import (
	"context"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/constellation-serving/constellation/internal/postgres"
)

// statements are those that a server sends to its database.
type statements struct {
	mu   sync.Mutex
	sent []string
}

// newStatements opens the database at url, and notes what is sent to it.
func newStatements(t *testing.T, url string) (*statements, *postgres.DB) {
	t.Helper()
	s := &statements{}
	db, err := postgres.OpenPooled(t.Context(), url, "", func(c *pgxpool.Config) { c.ConnConfig.Tracer = s })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return s, db
}

func (s *statements) add(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sql)
}

// take returns what was sent since it was called the last time.
func (s *statements) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.sent, "\n")
	s.sent = nil
	return all
}

// TraceQueryStart is part of pgx.QueryTracer.
func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.add(data.SQL)
	return ctx
}

// TraceQueryEnd is part of pgx.QueryTracer.
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart is part of pgx.BatchTracer.
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		s.add(q.SQL)
	}
	return ctx
}

// TraceBatchQuery is part of pgx.BatchTracer.
func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd is part of pgx.BatchTracer.
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// TraceCopyFromStart is part of pgx.CopyFromTracer.
func (s *statements) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	s.add(data.TableName.Sanitize())
	return ctx
}

// TraceCopyFromEnd is part of pgx.CopyFromTracer.
func (s *statements) TraceCopyFromEnd(context.Context, *pgx.Conn, pgx.TraceCopyFromEndData) {}

// asks has every operation succeed, and returns the words of all statements that it
// sends: those of the functions too that they call, by name or as triggers of a table.
// So an operation asks for a table when its words have the name.
func (w *world) asks(url string, s *statements) map[string]map[string]bool {
	w.t.Helper()
	behind := w.behind(url)
	asks := map[string]map[string]bool{}
	for _, name := range []string{"first", "again"} { // when a PUT finds what it makes
		for _, o := range w.documented(name) {
			s.take()
			// With a key, for what an operation that happens once asks for.
			if got := w.send(o, "Idempotency-Key: "+o.id+" "+name); got.StatusCode >= 300 {
				w.t.Fatalf("%s = %d %s, want success", o.id, got.StatusCode, got.body)
			}
			if asks[o.id] == nil {
				asks[o.id] = map[string]bool{}
			}
			learn(asks[o.id], s.take(), behind)
		}
	}
	return asks
}

// learn adds the words of a text, and those of what is behind each.
func learn(words map[string]bool, text string, behind map[string]string) {
	for _, word := range identifier.FindAllString(text, -1) {
		if !words[word] {
			words[word] = true
			learn(words, behind[word], behind)
		}
	}
}

var identifier = regexp.MustCompile(`\w+`)

// behind has the text of each function by its name, and by that of each table whose
// trigger it is.
func (w *world) behind(url string) map[string]string {
	w.t.Helper()
	db, err := pgx.Connect(w.t.Context(), url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(w.t.Context()) //nolint:errcheck // it was read
	rows, err := db.Query(w.t.Context(), `
		SELECT proname::text, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL
		SELECT tgrelid::regclass::text, prosrc FROM pg_trigger JOIN pg_proc p ON p.oid = tgfoid WHERE NOT tgisinternal`)
	if err != nil {
		w.t.Fatal(err)
	}
	behind := map[string]string{}
	var name, text string
	if _, err := pgx.ForEachRow(rows, []any{&name, &text}, func() error { behind[name] += "\n" + text; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return behind
}

// everyTable is each how many tables all operations are sent without one, also those
// that do not ask for it: they work. CONSTELLATION_FAULT_ROUNDS sends all without any.
func everyTable() int {
	if os.Getenv("CONSTELLATION_FAULT_ROUNDS") != "" {
		return 1
	}
	return 10
}
