package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/apiv1"
	"github.com/constellation-serving/constellation/internal/auth"
	rest "github.com/constellation-serving/constellation/internal/client"
	"github.com/constellation-serving/constellation/internal/postgres"
)

// How long a satellite, or somebody who reads, waits before trying again.
const secondTry = time.Second

// balancer is a load balancer as the guide describes one: each request goes to the
// next server whose /readyz says 200, and to another when nothing listens there.
type balancer struct {
	addresses []string
	ready     []atomic.Bool
	next      atomic.Int64
	transport *http.Transport
}

func newBalancer(t *testing.T, addresses []string) *httptest.Server {
	t.Helper()
	b := &balancer{addresses: addresses, ready: make([]atomic.Bool, len(addresses)), transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	var probes sync.WaitGroup
	for i, address := range addresses {
		probes.Go(func() {
			for tick := time.NewTicker(200 * time.Millisecond); ; {
				select {
				case <-t.Context().Done():
					tick.Stop()
					return
				case <-tick.C:
				}
				b.ready[i].Store(status(t.Context(), "http://"+address+"/readyz") == http.StatusOK)
			}
		})
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host; r.Out.URL.Scheme = "http" },
		// A server that is killed breaks what it answers.
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		Transport:     b,
		FlushInterval: -1,
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() { probes.Wait(); b.transport.CloseIdleConnections() })
	t.Cleanup(server.CloseClientConnections)
	return server
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	first := int(b.next.Add(1))
	for i := range b.addresses {
		at := (first + i) % len(b.addresses)
		if !b.ready[at].Load() {
			continue
		}
		r.URL.Host = b.addresses[at]
		response, err := b.transport.RoundTrip(r)
		var refused *net.OpError
		if errors.As(err, &refused) && refused.Op == "dial" {
			continue // nothing was sent
		}
		return response, err
	}
	return nil, errors.New("no server is ready")
}

// TestReplicasAreKilledInTurn: three servers behind a load balancer, each killed
// with SIGKILL in turn under pushes, writes, heartbeats, reads and open pages. What
// was acknowledged is there at the end, no launch is taken for silent, and a read
// that fails works when it is tried again a second later.
// CONSTELLATION_REPLICAS_FOR says for how long, with a kill each 20 s; the default
// is each server once.
func TestReplicasAreKilledInTurn(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	addresses := freeAddresses(t, 3)
	replicas := make([]*replica, len(addresses))
	for i, address := range addresses {
		replicas[i] = f.begin(t, "", address)
	}
	for _, r := range replicas {
		r.ready(t)
	}
	f.account(t)
	front := newBalancer(t, addresses)
	eventually(t, "the load balancer finds a server", func() bool { return status(t.Context(), front.URL+"/readyz") == http.StatusOK })
	l := newLoad(t, f, front.URL)
	ctx, end := context.WithCancel(t.Context())
	pause, until := 4*time.Second, time.Now()
	if s := os.Getenv("CONSTELLATION_REPLICAS_FOR"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("CONSTELLATION_REPLICAS_FOR: %v", err)
		}
		pause, until = 20*time.Second, until.Add(d)
		l.compare(t, addresses)
	}
	l.run(ctx)
	kills := 0
	for kills < len(replicas) || time.Now().Before(until) {
		at := kills % len(replicas)
		l.work(t, pause)
		replicas[at].kill()
		kills++
		l.work(t, time.Second)
		replicas[at] = f.begin(t, "", addresses[at]).ready(t)
	}
	l.work(t, pause)
	end()
	l.writers.Wait()
	l.verify(t)
	t.Logf("%d kills; acknowledged: %d satellites, %d images, %d heartbeats; %d reads, of which %d worked at the second try; %d changes on an open page",
		kills, len(l.crasher.satellites), len(l.crasher.images), l.heartbeats.Load(), l.reads.Load(), l.second.Load(), l.changes.Load())
	for _, r := range replicas {
		r.stop(t)
	}
}

// load is what callers of a fleet do, and what was acknowledged.
type load struct {
	t        *testing.T
	url      string
	crasher  *crasher
	launches []launched
	writers  sync.WaitGroup

	heartbeats, reads, second, changes atomic.Int64
}

// launched is a launch that reports.
type launched struct {
	satelliteID, id string
	reporter        *rest.Client
}

// newLoad makes an algorithm, a satellite with it, and launches.
func newLoad(t *testing.T, f *fleet, address string) *load {
	t.Helper()
	l := &load{t: t, url: address, crasher: &crasher{satellites: map[string]string{}, images: map[string]string{}, client: client{url: address, key: f.key}}}
	if err := l.crasher.pushImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	var satellite struct{ ID string }
	body := fmt.Sprintf(`{"name":"that reports","algorithms":[{"algorithm":"neo/crash/%s","vanity_url":"foo/bar","replicas":1}]}`, l.crasher.newest)
	if _, err := l.crasher.client.call(t.Context(), "POST", "/v1/satellites", body, &satellite); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		var launch struct{ ID string }
		if _, err := l.crasher.client.call(t.Context(), "POST", "/v1/satellites/"+satellite.ID+"/launches", fmt.Sprintf(`{"name":"launch %d"}`, i), &launch); err != nil {
			t.Fatal(err)
		}
		l.launches = append(l.launches, launched{satellite.ID, launch.ID, rest.New(address, f.token(t, launch.ID), nil)})
	}
	return l
}

// token opens a launch's token as the mothership does for its bundle.
func (f *fleet) token(t *testing.T, launchID string) string {
	t.Helper()
	sealer, err := auth.LoadSealer(filepath.Join(f.dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sealed, err := db.LaunchToken(t.Context(), launchID)
	if err != nil {
		t.Fatal(err)
	}
	token, err := sealer.Open("launches/"+launchID+"/token", sealed)
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// run begins all of it, until ctx ends.
func (l *load) run(ctx context.Context) {
	for range 2 {
		l.writers.Go(func() { l.repeat(ctx, l.crasher.writeSatellite) })
	}
	l.writers.Go(func() { l.repeat(ctx, l.crasher.pushImage) })
	l.writers.Go(func() { l.read(ctx) })
	l.writers.Go(func() { l.watch(ctx) })
	l.writers.Go(func() { l.openPage(ctx) })
	for i := range l.launches {
		l.writers.Go(func() { l.report(ctx, &l.launches[i]) })
	}
}

// work lets callers work for a while, and wants that they were answered.
func (l *load) work(t *testing.T, d time.Duration) {
	t.Helper()
	before := l.reads.Load()
	select {
	case <-t.Context().Done():
	case <-time.After(d): // the load's own time, not a wait
	}
	eventually(t, "reads go on", func() bool { return l.reads.Load() > before })
}

// repeat writes again and again; what was not acknowledged may be there or not.
func (l *load) repeat(ctx context.Context, write func(context.Context) error) {
	for ctx.Err() == nil {
		_ = write(ctx)
		idle(ctx, 50*time.Millisecond)
	}
}

func idle(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// read reads what was acknowledged.
func (l *load) read(ctx context.Context) {
	for ctx.Err() == nil {
		l.crasher.mu.Lock()
		id, label := "", ""
		for id, label = range l.crasher.satellites {
			break
		}
		l.crasher.mu.Unlock()
		if id != "" {
			l.twice(ctx, "the satellite "+label, func() error {
				var got struct{ Name string }
				_, err := l.crasher.client.call(ctx, "GET", "/v1/satellites/"+id, "", &got)
				if err == nil && got.Name != label {
					err = fmt.Errorf("its name is %q", got.Name)
				}
				return err
			})
		}
		idle(ctx, 20*time.Millisecond)
	}
}

// twice reads, and once more after a second.
func (l *load) twice(ctx context.Context, what string, read func() error) {
	err := read()
	if err != nil {
		idle(ctx, secondTry)
		l.second.Add(1)
		err = read()
	}
	if err != nil && ctx.Err() == nil {
		l.t.Errorf("%s cannot be read, again after a second: %v", what, err)
	}
	l.reads.Add(1)
}

// watch looks for launches that are taken for silent, though they report.
func (l *load) watch(ctx context.Context) {
	for ctx.Err() == nil {
		l.twice(ctx, "the launches", func() error {
			var list struct {
				Results []struct{ Name, Status string }
			}
			_, err := l.crasher.client.call(ctx, "GET", "/v1/satellites/"+l.launches[0].satelliteID+"/launches?limit=100", "", &list)
			for _, launch := range list.Results {
				if launch.Status == "stale" {
					l.t.Errorf("%s reports and is stale", launch.Name)
				}
			}
			return err
		})
		idle(ctx, 500*time.Millisecond)
	}
}

// openPage follows changes, and connects again as a browser does.
func (l *load) openPage(ctx context.Context) {
	jar, _ := cookiejar.New(nil) // has no error
	browser := &http.Client{Jar: jar}
	for ctx.Err() == nil {
		response, err := browser.PostForm(l.url+"/login", url.Values{"username": {"neo"}, "password": {goodPassword}})
		if err == nil {
			_ = response.Body.Close()
			break
		}
	}
	for ctx.Err() == nil {
		request, err := http.NewRequestWithContext(ctx, "GET", l.url+"/live", nil)
		if err != nil {
			return
		}
		response, err := browser.Do(request)
		if err == nil {
			buffer := make([]byte, 4096)
			for n := 0; err == nil; n, err = response.Body.Read(buffer) {
				if n > 20 {
					l.changes.Add(1)
				}
			}
			_ = response.Body.Close()
		}
		idle(ctx, secondTry)
	}
}

// report reports as an engine does: each 5 s, and again soon when that fails.
func (l *load) report(ctx context.Context, launch *launched) {
	beat := apiv1.Heartbeat{
		Engine: "engine/" + launch.id, SatelliteVersion: 1, SystemVersion: "v1",
		Algorithms: []apiv1.HeartbeatAlgorithm{{VanityURL: "foo/bar", Wanted: 1, Ready: 1}}, Engines: []apiv1.HeartbeatEngine{},
	}
	idle(ctx, rand.N(2*time.Second)) //nolint:gosec // spreads them
	for ctx.Err() == nil {
		beat.Sequence++
		if _, err := launch.reporter.Heartbeat(ctx, launch.satelliteID, launch.id, &beat); err != nil {
			idle(ctx, secondTry)
			continue
		}
		l.heartbeats.Add(1)
		idle(ctx, 5*time.Second)
	}
}

// compare measures reads through one server and through all, in one run.
func (l *load) compare(t *testing.T, addresses []string) {
	t.Helper()
	const d, readers = 10 * time.Second, 16
	for range 2 {
		for _, n := range []int{1, len(addresses)} {
			front := newBalancer(t, addresses[:n])
			eventually(t, "the load balancer finds a server", func() bool { return status(t.Context(), front.URL+"/readyz") == http.StatusOK })
			at := client{url: front.URL, key: l.crasher.client.key}
			ctx, end := context.WithTimeout(t.Context(), d)
			var reads atomic.Int64
			var group sync.WaitGroup
			for range readers {
				group.Go(func() {
					for ctx.Err() == nil {
						var got struct{ Name string }
						if _, err := at.call(ctx, "GET", "/v1/satellites/"+l.launches[0].satelliteID, "", &got); err == nil {
							reads.Add(1)
						}
					}
				})
			}
			group.Wait()
			end()
			t.Logf("%d servers: %.0f reads of a satellite a second, %d at once", n, float64(reads.Load())/d.Seconds(), readers)
		}
	}
}

// verify looks for everything that was acknowledged.
func (l *load) verify(t *testing.T) {
	t.Helper()
	l.crasher.check(t, 0, 0)
	if len(l.crasher.satellites) == 0 || len(l.crasher.images) < 2 || l.heartbeats.Load() == 0 || l.changes.Load() == 0 {
		t.Error("nothing was written, reported or seen between the kills, so nothing was tested")
	}
}
