package ratelimit

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// server is one of those that share limits; it runs until the test ends.
func server(t testing.TB, url string, c Config) *Limiter {
	t.Helper()
	if url != "" {
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		c.DB = db
	}
	l := New(c)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { l.Run(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return l
}

func hourly(name Name, quota int) Limit { return Limit{Name: name, Quota: quota, Window: time.Hour} }

// TestOneServerAdmitsTheQuota: a request after the other, each told how many are left.
func TestOneServerAdmitsTheQuota(t *testing.T) {
	t.Parallel()
	for _, quota := range []int{1, 5, 31, 32, 100, 3000} {
		l := server(t, postgrestest.URL(t), Config{Limits: []Limit{hourly(Key, quota)}})
		step := time.Hour / time.Duration(quota)
		for n := 1; n <= quota; n++ {
			h := http.Header{}
			if err := l.Count(t.Context(), h, Key, "k"); err != nil {
				t.Fatalf("of %d, request %d: %v", quota, n, err)
			}
			want := fmt.Sprintf(`"key-requests";r=%d;t=%d`, quota-n, seconds(time.Duration(n)*step))
			before := fmt.Sprintf(`"key-requests";r=%d;t=%d`, quota-n, seconds(time.Duration(n)*step)-1) // a second has passed
			if got := h.Get(Header); got != want && got != before {
				t.Fatalf("of %d, after request %d: %s, want %s", quota, n, got, want)
			}
			if got, want := h.Get(PolicyHeader), fmt.Sprintf(`"key-requests";q=%d;w=3600`, quota); got != want {
				t.Fatalf("policy %s, want %s", got, want)
			}
		}
		d := l.Take(t.Context(), Key, "k")
		err := d.Err()
		if constellation.KindOf(err) != constellation.KindRateLimited || d.wait > step || d.wait < step-5*time.Second {
			t.Errorf("of %d, one more: %v, to wait %s of %s", quota, err, d.wait, step)
		}
		if d := l.Take(t.Context(), Key, "another"); d.Err() != nil {
			t.Errorf("another key: %v", d.Err())
		}
	}
}

// TestServersShareALimit: whatever each of them is asked at once, together they admit
// the quota, and at most 1/32 of it more for each of them.
func TestServersShareALimit(t *testing.T) {
	t.Parallel()
	const quota, servers = 3200, 3
	url := postgrestest.URL(t)
	var admitted, refused atomic.Int64
	var asking sync.WaitGroup
	for range servers {
		l := server(t, url, Config{Limits: []Limit{hourly(Key, quota)}})
		for range 8 {
			asking.Go(func() {
				for range quota / 4 {
					if l.Take(t.Context(), Key, "k").Err() == nil {
						admitted.Add(1)
					} else {
						refused.Add(1)
					}
				}
			})
		}
	}
	asking.Wait()
	t.Logf("%d admitted of a quota of %d, %d refused", admitted.Load(), quota, refused.Load())
	if n := admitted.Load(); n < quota || n > quota+servers*quota/ownShare+1 {
		t.Errorf("%d were admitted of a quota of %d by %d servers", n, quota, servers)
	}
}

// TestAnExactLimitIsExact over servers, one of whose clocks is an hour ahead.
func TestAnExactLimitIsExact(t *testing.T) {
	t.Parallel()
	const quota = 10
	limit := hourly(SignIn, quota)
	limit.Exact = true
	url := postgrestest.URL(t)
	var admitted atomic.Int64
	var asking sync.WaitGroup
	var all []*Limiter
	for i := range 3 {
		l := server(t, url, Config{Limits: []Limit{limit}})
		l.begun = l.begun.Add(-time.Duration(i) * time.Hour)
		all = append(all, l)
		for range 4 {
			asking.Go(func() {
				for range quota {
					if l.Take(t.Context(), SignIn, "192.0.2.1").Err() == nil {
						admitted.Add(1)
					}
				}
			})
		}
	}
	asking.Wait()
	if n := admitted.Load(); n != quota {
		t.Errorf("%d were admitted of %d", n, quota)
	}
	for i, l := range all {
		if d := l.Take(t.Context(), SignIn, "192.0.2.1"); d.wait > 6*time.Minute || d.wait < 5*time.Minute {
			t.Errorf("server %d says to wait %s, want 6 minutes", i, d.wait)
		}
	}
}

// TestTheUsualCaseAsksNothing: who asks little is never told to the database, and who
// asks much in few statements.
func TestTheUsualCaseAsksNothing(t *testing.T) {
	t.Parallel()
	l := server(t, postgrestest.URL(t), Config{Limits: []Limit{hourly(Key, 1_000_000), hourly(Address, 3200)}})
	before := l.db.Stat().AcquireCount()
	for i := range 2000 {
		for range 40 {
			if err := l.Take(t.Context(), Address, fmt.Sprint("192.0.2.", i)).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := l.db.Stat().AcquireCount() - before; n != 0 {
		t.Errorf("80000 requests of 2000 addresses took %d statements, want none", n)
	}
	for range 500_000 {
		if err := l.Take(t.Context(), Key, "busy").Err(); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.db.Stat().AcquireCount() - before; n < 1 || n > 50 {
		t.Errorf("500000 requests of a key took %d statements, want some", n)
	}
}

// TestWhatIsNotUsedIsGivenBack to the others within some seconds.
func TestWhatIsNotUsedIsGivenBack(t *testing.T) {
	t.Parallel()
	const quota = 3200
	url := postgrestest.URL(t)
	limits := Config{Limits: []Limit{hourly(Key, quota)}}
	first, second := server(t, url, limits), server(t, url, limits)
	for range 150 {
		if err := first.Take(t.Context(), Key, "k").Err(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "what the first claimed to be given back", func() bool {
		return scalar(t, second.db, `SELECT count(*) FROM rate_limits WHERE spent < 0`) == 1
	})
	n := 0
	for second.Take(t.Context(), Key, "k").Err() == nil {
		n++
	}
	if least := quota - 150; n < least || n > least+quota/ownShare+1 {
		t.Errorf("the second admitted %d after 150 of the first, want the rest of %d", n, quota)
	}
}

// TestWithoutADatabaseEachServerIsAlone, and shares again when it is back.
func TestWithoutADatabaseEachServerIsAlone(t *testing.T) {
	t.Parallel()
	const quota = 320
	url := postgrestest.URL(t)
	l := server(t, url, Config{Limits: []Limit{hourly(Key, quota)}})
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	name := config.Database
	config.Database = "postgres"
	admin, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // the test is over
	for _, sql := range []string{
		`ALTER DATABASE ` + name + ` ALLOW_CONNECTIONS false`,
		`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '` + name + `'`,
	} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for l.Take(t.Context(), Key, "k").Err() == nil {
		n++
	}
	if n != quota || shared(l) {
		t.Errorf("without the database %d are admitted of %d, shared %v", n, quota, shared(l))
	}
	if _, err := admin.Exec(t.Context(), `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the limits to be shared again", func() bool {
		l.Take(t.Context(), Key, fmt.Sprint("k", n))
		for range 20 {
			l.Take(t.Context(), Key, fmt.Sprint("k", n))
		}
		n++
		return shared(l)
	})
}

func shared(l *Limiter) bool { return l.alone.Load() == 0 }

// TestMemoryIsBounded, whoever asks from wherever.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	l := server(t, postgrestest.URL(t), Config{Limits: []Limit{hourly(Address, 3200)}})
	for i := range 3 * shardCount * shardMost {
		l.Take(t.Context(), Address, Network(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff)))
	}
	if n := l.subjects(); n > shardCount*shardMost {
		t.Errorf("%d subjects are known, want %d at most", n, shardCount*shardMost)
	}
	if n := scalar(t, l.db, `SELECT count(*) FROM rate_limits`); n != 0 {
		t.Errorf("%d rows of who asked once", n)
	}
}

// TestTheTableIsSwept of what is whole again, and bounded.
func TestTheTableIsSwept(t *testing.T) {
	t.Parallel()
	db := postgrestest.New(t)
	if _, err := db.Pool().Exec(t.Context(), `
		INSERT INTO rate_limits (name, subject, full_at, quota, step, spent, granted)
		SELECT 'a', n::text, now() + make_interval(secs => n - 100), 10, 1, 1, 1 FROM generate_series(1, 1000) AS n`); err != nil {
		t.Fatal(err)
	}
	if err := db.SweepRates(t.Context(), 300); err != nil {
		t.Fatal(err)
	}
	if n, least := scalar(t, db, `SELECT count(*) FROM rate_limits`), scalar(t, db, `SELECT min(subject::int) FROM rate_limits`); n != 300 || least != 701 {
		t.Errorf("%d rows from %d on are left, want 300 from 701 on", n, least)
	}
}

// TestPeopleAreToldOnce of who is refused by an exact limit, however often.
func TestPeopleAreToldOnce(t *testing.T) {
	t.Parallel()
	limit := hourly(WrongKey, 3)
	limit.Exact = true
	told := make(chan string, 100)
	l := server(t, postgrestest.URL(t), Config{Limits: []Limit{limit}, Throttled: func(_ context.Context, name Name, who string) {
		told <- string(name) + " " + who
	}})
	for range 50 {
		l.Take(t.Context(), WrongKey, "192.0.2.9")
	}
	if got := <-told; got != "wrong-keys 192.0.2.9" || len(told) > 0 {
		t.Errorf("people are told of %s, and %d times more", got, len(told))
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "::ffff:192.0.2.1": "192.0.2.1", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "nonsense": "nonsense",
	} {
		if got := Network(address); got != want {
			t.Errorf("Network(%q) = %q, want %q", address, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Limit{
		"off": {Name: Key}, "600/m": {Name: Key, Quota: 600, Window: time.Minute}, "5/s": {Name: Key, Quota: 5, Window: time.Second}, "100/h": {Name: Key, Quota: 100, Window: time.Hour},
	} {
		if got, err := Parse(Key, text); err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "600", "0/m", "-1/m", "5/d", "x/m", "5/m/m", "100001/s", "9999999999999999999/s"} {
		if _, err := Parse(Key, text); constellation.KindOf(err) != constellation.KindInvalid {
			t.Errorf("Parse(%q): %v", text, err)
		}
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain for " + what)
		}
	}
}

func scalar(t *testing.T, db *postgres.DB, sql string) (n int) {
	t.Helper()
	if err := db.Pool().QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// BenchmarkTake is the price of a limit for a request.
func BenchmarkTake(b *testing.B) {
	l := server(b, postgrestest.URL(b), Config{Limits: []Limit{{Name: Key, Quota: mostQuota, Window: time.Minute}}})
	before := l.db.Stat().AcquireCount()
	for b.Loop() {
		h := http.Header{}
		if err := l.Count(b.Context(), h, Key, "0b5c3f0e-6f0d-4f7e-9d56-0f6c8b1f3a52"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.db.Stat().AcquireCount()-before)/float64(b.N), "statements/op")
}
