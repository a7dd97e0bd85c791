package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/autotls/autotlstest"
)

// switchboard has one port lead to several servers in turn, past those that are away,
// as a load balancer does that knows nothing of TLS.
type switchboard struct {
	addresses []string
	led       []atomic.Int64 // connections to each
}

func newSwitchboard(t *testing.T, port int, addresses []string) *switchboard {
	t.Helper()
	s := &switchboard{addresses: addresses, led: make([]atomic.Int64, len(addresses))}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for next := 0; ; next++ {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.lead(from, next) })
		}
	})
	return s
}

// lead copies between a connection and the next server.
func (s *switchboard) lead(from net.Conn, next int) {
	defer from.Close() //nolint:errcheck // nobody left to tell
	for i := range s.addresses {
		at := (next + i) % len(s.addresses)
		to, err := net.DialTimeout("tcp", s.addresses[at], time.Second)
		if err != nil {
			continue
		}
		defer to.Close() //nolint:errcheck // nobody left to tell
		s.led[at].Add(1)
		go func() { _, _ = io.Copy(to, from); _ = to.(*net.TCPConn).CloseWrite() }()
		_, _ = io.Copy(from, to)
		return
	}
}

// acmeFleet is servers of one mothership that share a certificate.
type acmeFleet struct {
	*fleet
	authority *autotlstest.Authority
	host      string
	port      int // of the host
	args      []string
}

func newACMEFleet(t *testing.T, host string) *acmeFleet {
	t.Helper()
	port := autotlstest.FreePort(t)
	a := autotlstest.New(t, 0, port, 90*24*time.Hour)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, []byte(a.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	return &acmeFleet{newFleet(t), a, host, port, []string{
		"--public-url", fmt.Sprintf("https://%s:%d", host, port), "--acme", a.Directory, "--acme-accept-terms", "--acme-ca-file", ca,
	}}
}

// start starts a server, and logs what it said if the test fails.
func (f *acmeFleet) start(t *testing.T, address string) *replica {
	t.Helper()
	r := f.begin(t, "", address, f.args...)
	t.Cleanup(func() {
		if t.Failed() {
			r.log.mu.Lock()
			defer r.log.mu.Unlock()
			t.Logf("the server at %s says %v", address, r.log.lines)
		}
	})
	return r
}

// shows is the number of the certificate that is shown at an address by a server that
// is ready, "" while there is none that the authority made.
func (f *acmeFleet) shows(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: f.authority.Roots, ServerName: f.host}, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		return ""
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), `"name":"certificate","ready":true`) {
		return ""
	}
	return fmt.Sprint(answer.TLS.PeerCertificates[0].SerialNumber)
}

// untilShown waits for a certificate at an address.
func (f *acmeFleet) untilShown(t *testing.T, address string) (serial string) {
	t.Helper()
	eventually(t, "a certificate is shown at "+address, func() bool { serial = f.shows(t, address); return serial != "" })
	return serial
}

// TestServersShareACertificate: two servers that begin together make one order, which
// both answer for; both show the certificate, the one that is left when the other is
// killed too, and the killed one when it is back.
func TestServersShareACertificate(t *testing.T) {
	t.Parallel()
	f := newACMEFleet(t, "shared.example.test")
	addresses := freeAddresses(t, 2)
	board := newSwitchboard(t, f.port, addresses)
	first, second := f.start(t, addresses[0]), f.start(t, addresses[1])
	begun := time.Now()
	serial := f.untilShown(t, addresses[0])
	if other := f.untilShown(t, addresses[1]); other != serial {
		t.Errorf("the servers show the certificates %s and %s", serial, other)
	}
	t.Logf("both show the certificate after %s", time.Since(begun).Round(10*time.Millisecond))
	if one, other := board.led[0].Load(), board.led[1].Load(); one == 0 || other == 0 {
		t.Errorf("the authority was answered %d times by one server and %d times by the other; want both", one, other)
	}
	first.kill()
	front := fmt.Sprintf("127.0.0.1:%d", f.port)
	for range 2 {
		if left := f.shows(t, front); left != serial {
			t.Errorf("with one server killed the certificate is %q, want %s", left, serial)
		}
	}
	first = f.start(t, addresses[0])
	if back := f.untilShown(t, addresses[0]); back != serial {
		t.Errorf("the server that is back shows the certificate %s, want %s", back, serial)
	}
	first.stop(t)
	second.stop(t)
	if n := f.authority.Orders.Load(); n != 1 {
		t.Errorf("there were %d orders, want 1", n)
	}
}

// TestServerKilledInTheMiddleOfAnOrder: another one orders in its place.
func TestServerKilledInTheMiddleOfAnOrder(t *testing.T) {
	t.Parallel()
	f := newACMEFleet(t, "killed.example.test")
	addresses := freeAddresses(t, 2)
	newSwitchboard(t, f.port, addresses)
	ordering, killed := make(chan struct{}), make(chan struct{})
	ordered := sync.OnceFunc(func() { close(ordering) })
	hold := func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasPrefix(r.URL.Path, "/finalize-order/") {
			ordered()
			<-killed
		}
		return false
	}
	f.authority.Refuse.Store(&hold)
	release := sync.OnceFunc(func() { close(killed) })
	t.Cleanup(release)
	first := f.start(t, addresses[0])
	select {
	case <-ordering:
	case <-time.After(time.Minute):
		t.Fatal("no server orders a certificate")
	}
	second := f.start(t, addresses[1])
	second.log.logged(t, "ready", "url")
	first.kill()
	begun := time.Now()
	f.authority.Refuse.Store(nil)
	release()
	f.untilShown(t, addresses[1])
	t.Logf("the other server has a certificate %s after the kill", time.Since(begun).Round(10*time.Millisecond))
	second.stop(t)
	if n := f.authority.Orders.Load(); n != 2 {
		t.Errorf("there were %d orders, want that of the killed server and one more", n)
	}
}
