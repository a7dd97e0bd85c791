package autotls

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/constellation-serving/constellation/internal/outbound"
)

// Challenges by which an authority sees that a host is ours.
const (
	ChallengeTLS  = "tls-alpn-01" // it connects to port 443
	ChallengeHTTP = "http-01"     // it asks port 80
)

// Authorities that have a name.
var directories = map[string]string{
	"letsencrypt":         acme.LetsEncryptURL,
	"letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}

const (
	lookEvery  = 30 * time.Second // for what another server has obtained
	lookSoon   = 2 * time.Second  // while there is none
	storeTime  = 8 * time.Second  // that a handshake waits for the store: less than an authority waits
	askTimeout = 30 * time.Second
	maxAnswer  = 1 << 20
	maxHosts   = 20
)

// Store keeps values for all servers, secretly.
type Store interface {
	// Value returns a value, nil when there is none.
	Value(ctx context.Context, name string) ([]byte, error)
	// Put keeps a value until then at least.
	Put(ctx context.Context, name string, value []byte, until time.Time) error
	// Alone runs do unless another server is in it at the moment.
	Alone(ctx context.Context, do func() error) error
	// Obtained keeps a new certificate as Put does, and notes that there is one.
	Obtained(ctx context.Context, name string, value []byte, c *tls.Certificate) error
}

// Options are what a Manager is made of. Now and Log may be nil.
type Options struct {
	Directory string   // a name of ours, or the URL of the authority's directory
	CA        string   // certificates in PEM that are trusted beside the system's when it is asked
	Email     string   // whom the authority warns; "" is nobody
	Hosts     []string // that the certificate is for
	Challenge string   // "" is ChallengeTLS
	Now       func() time.Time
	Log       *slog.Logger
}

// Manager has the certificate. It is safe for concurrent use.
type Manager struct {
	opts  Options
	name  string // of what is kept for these settings
	http  *http.Client
	store atomic.Pointer[Store]
	open  chan struct{} // closed once there is a store

	current atomic.Pointer[tls.Certificate]
	raw     atomic.Pointer[string] // what current was kept as

	mu      sync.Mutex
	answers map[string][]byte // to challenges that this server set, by their names
	problem string            // that was logged last
}

var hostForm = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)

// New checks the settings and makes a Manager that has no certificate yet.
func New(o Options) (*Manager, error) {
	if url, ok := directories[o.Directory]; ok {
		o.Directory = url
	}
	if !strings.HasPrefix(o.Directory, "https://") {
		return nil, fmt.Errorf("the authority is letsencrypt, letsencrypt-staging or the https:// address of an ACME directory; not %q", o.Directory)
	}
	if o.Challenge == "" {
		o.Challenge = ChallengeTLS
	}
	if o.Challenge != ChallengeTLS && o.Challenge != ChallengeHTTP {
		return nil, fmt.Errorf("a challenge is %s or %s; not %q", ChallengeTLS, ChallengeHTTP, o.Challenge)
	}
	if len(o.Hosts) == 0 || len(o.Hosts) > maxHosts {
		return nil, fmt.Errorf("a certificate is for 1 to %d hosts; not %d", maxHosts, len(o.Hosts))
	}
	for i, host := range o.Hosts {
		o.Hosts[i] = strings.ToLower(host)
		if net.ParseIP(host) != nil || !hostForm.MatchString(o.Hosts[i]) || len(host) > 253 {
			return nil, fmt.Errorf("an authority gives certificates for names of hosts such as mothership.example.com; not for %q", host)
		}
	}
	client, err := outbound.NewClient(outbound.ClientOptions{CA: o.CA, Timeout: askTimeout, MaxAnswer: maxAnswer})
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	sum := sha256.Sum256([]byte(o.Directory + " " + strings.Join(o.Hosts, " ")))
	return &Manager{opts: o, name: hex.EncodeToString(sum[:16]), http: client, open: make(chan struct{}), answers: map[string][]byte{}}, nil
}

// Use gives the manager its store, once that is there.
func (m *Manager) Use(s Store) {
	if m.store.Swap(&s) == nil {
		close(m.open)
	}
}

var errNoStore = errors.New("the database is not up yet")

func (m *Manager) kept() (Store, error) {
	if s := m.store.Load(); s != nil {
		return *s, nil
	}
	return nil, errNoStore
}

// Load takes the certificate that the store has, if it is another one.
func (m *Manager) Load(ctx context.Context) error {
	store, err := m.kept()
	if err != nil {
		return err
	}
	value, err := store.Value(ctx, "certificate/"+m.name)
	if err != nil || value == nil {
		return err
	}
	if raw := m.raw.Load(); raw != nil && *raw == string(value) {
		return nil
	}
	pair, err := readPair(value)
	if err != nil {
		return fmt.Errorf("read the certificate that is kept: %w", err)
	}
	m.use(value, pair)
	return nil
}

func (m *Manager) use(value []byte, pair *tls.Certificate) {
	m.raw.Store(new(string(value)))
	m.current.Store(pair)
	m.opts.Log.Info("a certificate of the ACME authority is in use", "hosts", m.opts.Hosts, "expires_at", pair.Leaf.NotAfter)
}

// Run takes certificates that other servers have obtained, until ctx ends.
func (m *Manager) Run(ctx context.Context) {
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
		err := m.Load(ctx)
		m.tell(ctx, err)
		if m.current.Load() == nil {
			look.Reset(lookSoon)
		} else {
			look.Reset(lookEvery)
		}
	}
}

// tell logs a problem once.
func (m *Manager) tell(ctx context.Context, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		m.problem = ""
	case ctx.Err() == nil && err.Error() != m.problem:
		m.problem = err.Error()
		m.opts.Log.ErrorContext(ctx, "look for a new certificate", "error", err)
	}
}

// Expires returns when the certificate ends; ok is false when there is none.
func (m *Manager) Expires() (at time.Time, ok bool) {
	c := m.current.Load()
	if c == nil {
		return time.Time{}, false
	}
	return c.Leaf.NotAfter, true
}

// Config returns how TLS is served: from TLS 1.2 on, HTTP/2 by ALPN.
func (m *Manager) Config() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: m.certificate}
	if m.opts.Challenge == ChallengeTLS {
		c.NextProtos = append(c.NextProtos, acme.ALPNProto)
	}
	return c
}

var errNoCertificate = errors.New("there is no certificate yet: the server's log says how it goes")

func (m *Manager) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto {
		return m.challenge(hello.Context(), hello.ServerName)
	}
	if c := m.current.Load(); c != nil {
		return c, nil
	}
	return nil, errNoCertificate
}
