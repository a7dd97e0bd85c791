package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/loadtest"
	"github.com/constellation-serving/constellation/internal/postgres"
)

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
	pause, until := 4*time.Second, time.Now()
	if s := os.Getenv("CONSTELLATION_REPLICAS_FOR"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatalf("CONSTELLATION_REPLICAS_FOR: %v", err)
		}
		pause, until = 20*time.Second, until.Add(d)
		compare(t, l, addresses)
	}
	l.Begin(t)
	kills := 0
	for kills < len(replicas) || time.Now().Before(until) {
		at := kills % len(replicas)
		l.Work(t, pause)
		replicas[at].kill()
		kills++
		l.Work(t, time.Second)
		replicas[at] = f.begin(t, "", addresses[at]).ready(t)
	}
	l.Work(t, pause)
	l.End()
	t.Logf("%d kills; %s", kills, l.Verify(t))
	for _, r := range replicas {
		r.stop(t)
	}
}

// newLoad makes an algorithm, a satellite with it, and launches.
func newLoad(t *testing.T, f *fleet, address string) *loadtest.Load {
	t.Helper()
	l := &loadtest.Load{Written: loadtest.NewWritten(loadtest.Client{URL: address, Key: f.key}), Interval: 5 * time.Second, Password: goodPassword}
	if err := l.PushImage(t.Context()); err != nil {
		t.Fatal(err)
	}
	var satellite struct{ ID string }
	body := fmt.Sprintf(`{"name":"that reports","algorithms":[{"algorithm":"neo/crash/%s","vanity_url":"foo/bar","replicas":1}]}`, l.Newest)
	if _, err := l.Call(t.Context(), "POST", "/v1/satellites", body, &satellite); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		var launch struct{ ID string }
		if _, err := l.Call(t.Context(), "POST", "/v1/satellites/"+satellite.ID+"/launches", fmt.Sprintf(`{"name":"launch %d"}`, i), &launch); err != nil {
			t.Fatal(err)
		}
		l.Launches = append(l.Launches, loadtest.Launch{SatelliteID: satellite.ID, ID: launch.ID, Token: f.token(t, launch.ID)})
	}
	l.Stale = func(ctx context.Context) (stale []string, err error) {
		var list struct {
			Results []struct{ Name, Status string }
		}
		_, err = l.Call(ctx, "GET", "/v1/satellites/"+satellite.ID+"/launches?limit=100", "", &list)
		for _, launch := range list.Results {
			if launch.Status == "stale" {
				stale = append(stale, launch.Name)
			}
		}
		return stale, err
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

// compare measures reads through one server and through all, in one run.
func compare(t *testing.T, l *loadtest.Load, addresses []string) {
	t.Helper()
	const d, readers = 10 * time.Second, 16
	for range 2 {
		for _, n := range []int{1, len(addresses)} {
			front := newBalancer(t, addresses[:n])
			eventually(t, "the load balancer finds a server", func() bool { return status(t.Context(), front.URL+"/readyz") == http.StatusOK })
			at := loadtest.Client{URL: front.URL, Key: l.Key}
			t.Logf("%d servers: %.0f reads of a satellite a second, %d at once", n, at.Reads(t.Context(), "/v1/satellites/"+l.Launches[0].SatelliteID, readers, d), readers)
		}
	}
}
