package api

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// TestEveryFaultOfTheDatabase takes away one table after the other, from requests
// that happen once: what needs it is answered with 500 and not a word of why,
// all else works.
func TestEveryFaultOfTheDatabase(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	s, db := newStatements(t, url)
	w := newWorld(t, func(o *control.Options) { o.DB = db })
	w.url = url
	w.run()
	const sentence = "something went wrong on the server; its log says what, under this id"
	w.faults(s, http.StatusInternalServerError, sentence, true, func(table string) (mend func()) {
		w.execute(url, `ALTER TABLE `+table+` RENAME TO away`)
		return func() { w.execute(url, `ALTER TABLE away RENAME TO `+table) }
	})
}

// TestEveryLossOfTheDatabase breaks the connection whenever one table after the
// other is asked for, and at last every one: what needs it is answered with 503.
func TestEveryLossOfTheDatabase(t *testing.T) {
	t.Parallel()
	url := postgrestest.URL(t)
	line := newLine(t, url)
	s, db := newStatements(t, line.url)
	w := newWorld(t, func(o *control.Options) { o.DB = db })
	w.url = url
	w.run()
	const sentence = "the database cannot be reached; try again in a moment"
	w.faults(s, http.StatusServiceUnavailable, sentence, false, func(table string) (mend func()) {
		line.breakAt(regexp.MustCompile(`\b` + table + `\b`))
		return func() { line.breakAt(nil) }
	})
	operations := w.documented("last")
	line.breakAt(regexp.MustCompile(``))
	for _, o := range operations {
		if said := w.send(o).refusedWith(t, http.StatusServiceUnavailable); said != sentence {
			t.Errorf("%s without a database is refused with %q, want %q", o.id, said, sentence)
		}
	}
}

// faults sends every operation with one table after the other that it asks for and
// that does not work: each succeeds, or is refused with the status and sentence, as it
// is by one of them at least. once sends each with an Idempotency-Key.
func (w *world) faults(s *statements, status int, sentence string, once bool, fault func(table string) (mend func())) {
	t := w.t
	asks, refused := w.asks(w.url, s), map[string]bool{}
	var operations []documented
	for i, table := range w.tables(w.url) {
		if operations == nil {
			w.execute(w.url, `DELETE FROM notification_destinations`) // of which there may be so many
			operations = w.documented(fmt.Sprint("walk", i))
		}
		all, used := i%everyTable() == 0, false
		mend := fault(table)
		for _, o := range operations {
			if !all && !asks[o.id][table] {
				continue
			}
			var header []string
			if once {
				header = []string{"Idempotency-Key: " + o.id + " without " + table}
			}
			got := w.send(o, header...)
			if got.StatusCode < 300 {
				used = used || o.method != http.MethodGet
				continue
			}
			refused[o.id] = true
			if !asks[o.id][table] {
				t.Errorf("%s does not ask for the table %s, and is refused without it: the walk leaves such out", o.id, table)
			}
			if said := got.refusedWith(t, status); said != sentence {
				t.Errorf("%s without the table %s is refused with %q, want %q", o.id, table, said, sentence)
			}
		}
		mend()
		if used { // what is done is done
			operations = nil
		}
	}
	for _, r := range contract().routes {
		if id := contract().operation(r)["operationId"].(string); !refused[id] && id != "exchangeToken" {
			t.Errorf("%s works without any of the tables", id)
		}
	}
}

// tables are those of the database.
func (w *world) tables(url string) []string {
	w.t.Helper()
	db, err := pgx.Connect(w.t.Context(), url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(w.t.Context()) //nolint:errcheck // it was read
	rows, err := db.Query(w.t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	if err != nil {
		w.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return tables
}

func (w *world) execute(url, sql string) {
	w.t.Helper()
	db, err := pgx.Connect(w.t.Context(), url)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close(w.t.Context()) //nolint:errcheck // the statement's own error counts
	if _, err := db.Exec(w.t.Context(), sql); err != nil {
		w.t.Fatalf("%s: %v", sql, err)
	}
}

// line is the network between a server and its database, which breaks where it
// is told to.
type line struct {
	url      string // of the database through it
	server   string // the database's socket
	listener net.Listener

	mu   sync.Mutex
	at   *regexp.Regexp // of what the client sends; nil is nowhere
	open map[net.Conn]bool
}

func newLine(t *testing.T, url string) *line {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{
		url:    fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, listener.Addr(), config.Database),
		server: fmt.Sprintf("%s/.s.PGSQL.%d", config.Host, config.Port), listener: listener, open: map[net.Conn]bool{},
	}
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			carried.Go(func() {
				if err := l.carry(c); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		l.breakAt(nil)
		carried.Wait()
	})
	return l
}

// breakAt breaks all connections now, and from now on each whose client sends
// something like that.
func (l *line) breakAt(at *regexp.Regexp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
	for c := range l.open {
		_ = c.Close()
	}
}

// carry carries a connection until either side ends it, or it breaks.
func (l *line) carry(client net.Conn) error {
	defer client.Close()
	server, err := net.Dial("unix", l.server) //nolint:noctx // it is there, or not
	for deadline := time.Now().Add(waittest.Timeout); errors.Is(err, syscall.EAGAIN) && time.Now().Before(deadline); {
		server, err = net.Dial("unix", l.server) //nolint:noctx // its backlog was full: every operation connects at once
	}
	if err != nil {
		return fmt.Errorf("reach the tests' PostgreSQL: %w", err)
	}
	defer server.Close()
	l.mu.Lock()
	l.open[client] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.open, client)
	}()
	go func() {
		_, _ = io.Copy(client, server) // ends with either
		_ = client.Close()
	}()
	for buffer := make([]byte, 64<<10); ; {
		n, err := client.Read(buffer)
		if n > 0 {
			if l.breaks(buffer[:n]) {
				return nil
			}
			if _, err := server.Write(buffer[:n]); err != nil && !errors.Is(err, net.ErrClosed) {
				return nil
			}
		}
		if err != nil {
			return nil
		}
	}
}

func (l *line) breaks(sent []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at != nil && l.at.Match(sent)
}
