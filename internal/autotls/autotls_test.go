package autotls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/constellation-serving/constellation/internal/autotls"
	"github.com/constellation-serving/constellation/internal/autotls/autotlstest"
	"github.com/constellation-serving/constellation/internal/waittest"
)

const host = "mothership.example.test"

// shelf is a store in memory, for all servers of a test.
type shelf struct {
	mu       sync.Mutex
	values   map[string][]byte
	alone    sync.Mutex
	obtained int
	broken   error
}

func newShelf() *shelf { return &shelf{values: map[string][]byte{}} }

func (s *shelf) Value(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name], s.broken
}

func (s *shelf) Put(_ context.Context, name string, value []byte, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[name] = value
	return s.broken
}

func (s *shelf) Obtained(ctx context.Context, name string, value []byte, _ *tls.Certificate) error {
	s.obtained++
	return s.Put(ctx, name, value, time.Time{})
}

func (s *shelf) Alone(_ context.Context, do func() error) error {
	if !s.alone.TryLock() {
		return nil
	}
	defer s.alone.Unlock()
	return do()
}

// clock is a clock that is ahead of the real one.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }
func (c *clock) set(ahead time.Duration) { c.ahead.Store(int64(ahead)) }
func options(a *autotlstest.Authority, c *clock) autotls.Options {
	return autotls.Options{Directory: a.Directory, CA: a.CA, Hosts: []string{host}, Email: "ops@example.com", Now: c.now}
}

func manager(t *testing.T, o autotls.Options, s autotls.Store) *autotls.Manager {
	t.Helper()
	m, err := autotls.New(o)
	if err != nil {
		t.Fatal(err)
	}
	m.Use(s)
	return m
}

// listen serves by TLS on a port, as a server of the host does.
func listen(t *testing.T, m *autotls.Manager, port int) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }), ReadHeaderTimeout: time.Minute,
		TLSConfig: m.Config(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close(); _ = waittest.Receive(t, "the end of a server", ended) })
}

// get asks the host at a port, and trusts the authority's root alone.
func get(t *testing.T, a *autotlstest.Authority, port int, name string) (proto string, seen *tls.ConnectionState, err error) {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: a.Roots, ServerName: name}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/", port), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), answer.TLS, err
}

func obtain(t *testing.T, m *autotls.Manager) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waittest.Timeout)
	defer cancel()
	return m.Obtain(ctx)
}

// A certificate is obtained while another server of the store answers the authority,
// is kept over a restart, and made again when a third of its life is left.
func TestByTLS(t *testing.T) {
	t.Parallel()
	port := autotlstest.FreePort(t)
	a, c, store := autotlstest.New(t, 0, port, 90*24*time.Hour), &clock{}, newShelf()
	asks, answers := manager(t, options(a, c), store), manager(t, options(a, c), store)
	listen(t, answers, port) // not the one that asks
	if _, _, err := get(t, a, port, host); err == nil {
		t.Fatal("a server without a certificate answers by TLS")
	}
	if err := obtain(t, asks); err != nil {
		t.Fatal(err)
	}
	if err := answers.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	proto, seen, err := get(t, a, port, host)
	if err != nil || proto != "HTTP/2.0" || seen.Version != tls.VersionTLS13 {
		t.Fatalf("the host answers %q, %v", proto, err)
	}
	first := seen.PeerCertificates[0]
	if at, ok := answers.Expires(); !ok || !at.Equal(first.NotAfter) || answers.Due() {
		t.Errorf("it ends at %v, %v, and is due: %v", at, ok, answers.Due())
	}
	if _, _, err := get(t, a, port, "elsewhere.example.test"); err == nil {
		t.Error("the certificate holds for another host")
	}

	restarted := manager(t, options(a, c), store)
	if err := obtain(t, restarted); err != nil || a.Orders.Load() != 1 || store.obtained != 1 {
		t.Fatalf("after a restart: %v, %d orders; want the certificate of before", err, a.Orders.Load())
	}
	for _, day := range []int{59, 61} {
		c.set(time.Duration(day) * 24 * time.Hour)
		if err := obtain(t, restarted); err != nil {
			t.Fatal(err)
		}
		if want := map[int]int64{59: 1, 61: 2}[day]; a.Orders.Load() != want {
			t.Errorf("on day %d there were %d orders, want %d", day, a.Orders.Load(), want)
		}
	}
	if err := answers.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, seen, err = get(t, a, port, host); err != nil || seen.PeerCertificates[0].Equal(first) {
		t.Errorf("the renewed certificate is not shown: %v", err)
	}
}

// A server that is not up yet answers the authority once it is.
func TestAnswersOnceItIsUp(t *testing.T) {
	t.Parallel()
	port := autotlstest.FreePort(t)
	a, c, store := autotlstest.New(t, 0, port, 90*24*time.Hour), &clock{}, newShelf()
	asks := manager(t, options(a, c), store)
	starts, err := autotls.New(options(a, c))
	if err != nil {
		t.Fatal(err)
	}
	listen(t, starts, port)
	validates := func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/chalZ/") {
			time.AfterFunc(300*time.Millisecond, func() { starts.Use(store) }) // once it was asked
		}
		return false
	}
	a.Refuse.Store(&validates)
	if err := obtain(t, asks); err != nil {
		t.Fatal(err)
	}
}

func TestByHTTP(t *testing.T) {
	t.Parallel()
	port := autotlstest.FreePort(t)
	a, store := autotlstest.New(t, port, 0, time.Hour*24), newShelf()
	o := options(a, &clock{})
	o.Challenge, o.Hosts = autotls.ChallengeHTTP, []string{host, "Registry.example.test"}
	asks, answers := manager(t, o, store), manager(t, o, store)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(answers.Answer(http.NotFoundHandler()))
	server.Listener = l
	server.Start()
	t.Cleanup(server.Close)
	if err := obtain(t, asks); err != nil {
		t.Fatal(err)
	}
	config, err := asks.Config().GetCertificate(&tls.ClientHelloInfo{SupportedProtos: []string{"h2"}})
	if err != nil || config.Leaf.VerifyHostname("registry.example.test") != nil || config.Leaf.VerifyHostname(host) != nil {
		t.Errorf("the certificate is for %v, %v", config.Leaf.DNSNames, err)
	}
	for path, want := range map[string]int{"/": 404, autotls.ChallengePath: 404, autotls.ChallengePath + "unknown-token-of-nobody": 404, autotls.ChallengePath + "../../etc": 404} {
		r, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("GET %s = %d, want %d", path, r.StatusCode, want)
		}
	}
}

// Two servers that ask at the same moment make one order.
func TestOneServerAsks(t *testing.T) {
	t.Parallel()
	port := autotlstest.FreePort(t)
	a, store := autotlstest.New(t, 0, port, 24*time.Hour), newShelf()
	var both errgroup.Group
	for i := range 2 {
		m := manager(t, options(a, &clock{}), store)
		if i == 0 {
			listen(t, m, port)
		}
		both.Go(func() error { return m.Obtain(t.Context()) })
	}
	if err := both.Wait(); err != nil || a.Orders.Load() != 1 {
		t.Errorf("%d orders, %v; want one", a.Orders.Load(), err)
	}
}

// What goes wrong is told in a sentence, leaves the certificate in force and is not
// tried again too soon.
func TestFailures(t *testing.T) {
	t.Parallel()
	port := autotlstest.FreePort(t)
	a, c, store := autotlstest.New(t, 0, port, 9*24*time.Hour), &clock{}, newShelf()
	const host = "failing.example.test" // whose name leads elsewhere for a while
	o := options(a, c)
	o.Hosts = []string{host}
	m := manager(t, o, store)
	fails := func(what string, wait time.Duration) {
		t.Helper()
		err := obtain(t, m)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Fatalf("Obtain = %v, want %q", err, what)
		}
		orders := a.Orders.Load()
		c.advance(wait - time.Minute)
		if err := obtain(t, m); err != nil || a.Orders.Load() != orders {
			t.Fatalf("it is tried again within %s: %v", wait, err)
		}
		c.advance(2 * time.Minute)
	}
	fails("could not see that "+host+" is this server's", 5*time.Minute) // nobody listens there
	listen(t, m, port)
	a.Names.AddDNSARecord(host, []string{"127.0.0.2"}) // the name leads elsewhere
	fails("could not see that "+host, 10*time.Minute)
	a.Names.DeleteDNSARecord(host)
	limited := autotlstest.Limit(3 * time.Hour)
	a.Refuse.Store(&limited)
	fails("was asked too often: too many certificates already issued", 3*time.Hour)
	down := func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	a.Refuse.Store(&down)
	fails("refuses", 40*time.Minute)
	a.Refuse.Store(nil)
	c.set(0)
	store.values = map[string][]byte{}
	if err := obtain(t, m); err != nil {
		t.Fatal(err)
	}
	before, _ := m.Expires()
	c.set(7 * 24 * time.Hour)
	a.Refuse.Store(&down)
	fails("refuses", 5*time.Minute)
	if at, ok := m.Expires(); !ok || !at.Equal(before) {
		t.Errorf("after a failed renewal it ends at %v, %v", at, ok)
	}
	if _, _, err := get(t, a, port, host); err != nil {
		t.Errorf("after a failed renewal: %v", err)
	}
}

func TestAuthorityThatIsNotKnown(t *testing.T) {
	t.Parallel()
	a := autotlstest.New(t, 0, 0, time.Hour)
	o := options(a, &clock{})
	o.CA = ""
	if err := obtain(t, manager(t, o, newShelf())); err == nil || !strings.Contains(err.Error(), "give its root with --acme-ca-file") {
		t.Errorf("Obtain = %v", err)
	}
	o.Directory = fmt.Sprintf("https://127.0.0.1:%d/dir", autotlstest.FreePort(t))
	if err := obtain(t, manager(t, o, newShelf())); err == nil || !strings.Contains(err.Error(), "is not reached") {
		t.Errorf("Obtain = %v", err)
	}
	broken := newShelf()
	broken.broken = errors.New("no database")
	if err := obtain(t, manager(t, o, broken)); !errors.Is(err, broken.broken) {
		t.Errorf("Obtain = %v", err)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for want, o := range map[string]autotls.Options{
		"not \"http://ca.example\"": {Directory: "http://ca.example", Hosts: []string{host}},
		"not \"dns-01\"":            {Directory: "letsencrypt", Hosts: []string{host}, Challenge: "dns-01"},
		"not for \"127.0.0.1\"":     {Directory: "letsencrypt", Hosts: []string{"127.0.0.1"}},
		"not for \"localhost\"":     {Directory: "letsencrypt-staging", Hosts: []string{"localhost"}},
		"not for \"*.example.com\"": {Directory: "letsencrypt", Hosts: []string{"*.example.com"}},
		"1 to 20 hosts":             {Directory: "letsencrypt"},
		"are no PEM":                {Directory: "letsencrypt", Hosts: []string{host}, CA: "x"},
	} {
		if _, err := autotls.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, want %q", o, err, want)
		}
	}
}
