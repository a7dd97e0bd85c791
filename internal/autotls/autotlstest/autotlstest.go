// Package autotlstest runs a real ACME authority, Let's Encrypt's Pebble, with a name
// server that leads every host to this machine.
package autotlstest

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // Pebble wants one
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Authority is a running ACME authority. It is asked by HTTPS, and asks hosts at the
// ports that it was made with.
type Authority struct {
	Directory string // its address
	CA        string // in PEM, of its own HTTPS
	Roots     *x509.CertPool
	Names     *challtestsrv.ChallSrv // of all authorities of the process

	// Refuse answers a request in the authority's place when it reports true; nil
	// answers none.
	Refuse atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
	Orders atomic.Int64 // that it took

	ca *ca.CAImpl
}

// New starts an authority that reaches hosts at these ports of this machine, and whose
// certificates live that long from now.
func New(t *testing.T, httpPort, tlsPort int, life time.Duration) *Authority {
	t.Helper()
	environment(t)
	quiet := log.New(io.Discard, "", 0)
	a := &Authority{Roots: x509.NewCertPool()}
	resolver := a.resolve(t, quiet)
	store := db.NewMemoryStore()
	a.ca = ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "of tests", ValidityPeriod: uint64(life / time.Second)}})
	validation := va.New(quiet, httpPort, tlsPort, false, resolver, store)
	front := wfe.New(quiet, store, validation, a.ca, nil, false, false, 1, 1)
	handler := front.Handler()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse := a.Refuse.Load(); refuse != nil && (*refuse)(w, r) {
			return
		}
		if r.URL.Path == "/order-plz" {
			w = counted{w, &a.Orders}
		}
		handler.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = quiet
	server.StartTLS()
	t.Cleanup(server.Close)
	a.Directory = server.URL + wfe.DirectoryPath
	a.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	if !a.Roots.AppendCertsFromPEM(a.ca.GetRootCert(0).PEM()) {
		t.Fatal("the authority has no root")
	}
	return a
}

// environment tells Pebble not to wait before it looks, and to refuse some of the
// numbers that it gave out for one use, as real authorities may.
func environment(t *testing.T) {
	t.Helper()
	once.Do(func() {
		if err := errors.Join(os.Setenv("PEBBLE_VA_NOSLEEP", "1"), os.Setenv("PEBBLE_WFE_NONCEREJECT", "10")); err != nil {
			t.Error(err)
		}
	})
}

var once sync.Once

// counted counts what was made.
type counted struct {
	http.ResponseWriter
	made *atomic.Int64
}

// WriteHeader implements http.ResponseWriter.
func (c counted) WriteHeader(status int) {
	if status == http.StatusCreated {
		c.made.Add(1)
	}
	c.ResponseWriter.WriteHeader(status)
}

// names is the one name server of a process: its library has one for all.
var names struct {
	sync.Mutex
	server  *challtestsrv.ChallSrv
	address string
}

// resolve returns the address of the name server, which the process ends with.
func (a *Authority) resolve(t *testing.T, quiet *log.Logger) string {
	t.Helper()
	names.Lock()
	defer names.Unlock()
	if names.server == nil {
		address := freeAddress(t)
		server, err := challtestsrv.New(challtestsrv.Config{DNSAddrs: []string{address}, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		server.SetDefaultDNSIPv4("127.0.0.1")
		server.SetDefaultDNSIPv6("")
		go server.Run()
		names.server, names.address = server, address
	}
	a.Names = names.server
	return names.address
}

func freeAddress(t *testing.T) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	return udp.LocalAddr().String()
}

// FreePort returns a port of this machine that is free now.
func FreePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Limit answers as an authority does that was asked too often.
func Limit(after time.Duration) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", fmt.Sprint(int(after/time.Second)))
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates already issued","status":429}`)
		return true
	}
}
