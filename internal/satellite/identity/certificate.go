package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/keyring"
)

const (
	maxAuthorities  = 1 << 20 // bytes of PEM
	maxCertificates = 10_000  // whose verification is remembered
)

// authority is the authorities of client certificates, with what was verified by
// them.
type authority struct {
	settings config.ClientCA
	path     string
	content  string
	pool     atomic.Pointer[trust]
	problem  string // that was logged last
}

// trust is authorities in force.
type trust struct {
	roots    *x509.CertPool
	verified *lru.Cache[[sha256.Size]byte, keyring.Identity]
}

func newAuthority(settings config.ClientCA, dir string) *authority {
	path := settings.File
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return &authority{settings: settings, path: path}
}

// load puts the file in force if it changed, and reports whether it did. What
// cannot be read leaves what is in force; each problem is returned once.
func (a *authority) load() (changed bool, err error) {
	content, err := a.read()
	if err != nil {
		if err.Error() == a.problem {
			return false, nil
		}
		a.problem = err.Error()
		return false, err
	}
	if content == a.content {
		a.problem = ""
		return false, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(content)) {
		err = fmt.Errorf("%s holds no certificate in PEM", a.settings.File)
		if err.Error() == a.problem {
			return false, nil
		}
		a.problem = err.Error()
		return false, err
	}
	verified, err := lru.New[[sha256.Size]byte, keyring.Identity](maxCertificates)
	if err != nil {
		return false, err
	}
	a.content, a.problem = content, ""
	a.pool.Store(&trust{roots, verified})
	return true, nil
}

func (a *authority) read() (string, error) {
	info, err := os.Stat(a.path)
	if err == nil && info.Size() > maxAuthorities {
		return "", fmt.Errorf("%s has more than %d bytes", a.settings.File, maxAuthorities)
	}
	data, err := os.ReadFile(a.path)
	if err != nil {
		return "", fmt.Errorf("read the authorities of client certificates: %w", err)
	}
	return string(data), nil
}

// ClientCAs returns the authorities whose certificates callers may show; nil for
// none.
func (i *Identities) ClientCAs() *x509.CertPool {
	if a := i.authority.Load(); a != nil {
		if t := a.pool.Load(); t != nil {
			return t.roots
		}
	}
	return nil
}

// Certificate returns whom a client certificate names; chain is what the caller
// showed, its own first. The error is a *Refusal.
func (i *Identities) Certificate(chain []*x509.Certificate, now time.Time) (keyring.Identity, error) {
	a := i.authority.Load()
	if a == nil || len(chain) == 0 {
		return keyring.Identity{}, refuse("authorization required")
	}
	t := a.pool.Load()
	if t == nil {
		return keyring.Identity{}, &Refusal{Message: "the authorities of client certificates are not known to this satellite; try again later, or call with an API key", Unready: true}
	}
	sum := sha256.Sum256(chain[0].Raw)
	who, ok := t.verified.Get(sum)
	if !ok {
		var err error
		if who, err = a.verify(t.roots, chain, now); err != nil {
			return keyring.Identity{}, err
		}
		t.verified.Add(sum, who)
	}
	if now.After(who.ExpiresAt) {
		return keyring.Identity{}, refuse("this client certificate, or one that it rests on, expired on %s", who.ExpiresAt.UTC().Format(time.RFC3339))
	}
	return who, nil
}

func (a *authority) verify(roots *x509.CertPool, chain []*x509.Certificate, now time.Time) (keyring.Identity, error) {
	others := x509.NewCertPool()
	for _, c := range chain[1:] {
		others.AddCert(c)
	}
	chains, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: others, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return keyring.Identity{}, refuse("this client certificate, or one that it rests on, is expired or not valid yet")
	}
	if err != nil {
		return keyring.Identity{}, refuse("this client certificate is not of an authority that this satellite takes, or not for clients")
	}
	names := certificateNames(chain[0])
	if len(names) == 0 {
		return keyring.Identity{}, refuse("this client certificate has no name: neither a subject alternative name nor a common name")
	}
	who := keyring.Identity{ID: keyring.CertificateIDs + digest(names[0])[:32], Name: clean(names[0]), May: everything, ExpiresAt: earliest(chains)}
	if len(a.settings.Rules) > 0 {
		s := scope{}
		for _, rule := range a.settings.Rules {
			if slices.ContainsFunc(names, func(name string) bool { return matches(rule.Name, name) }) {
				s = append(s, rule.Algorithms...)
			}
		}
		who.May = s.may
	}
	return who, nil
}

// earliest returns when the chain that lasts longest ends.
func earliest(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, c := range chain {
			if c.NotAfter.Before(end) {
				end = c.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

// certificateNames returns a certificate's names, the one that identifies it
// first. A common name counts where there is no other.
func certificateNames(c *x509.Certificate) []string {
	var names []string
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	for _, name := range c.DNSNames {
		names = append(names, strings.ToLower(name))
	}
	names = append(names, c.EmailAddresses...)
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// matches reports whether a rule's name is a certificate's: itself, or "*." and
// the domain that it is directly in.
func matches(rule, name string) bool {
	if domain, ok := strings.CutPrefix(rule, "*."); ok {
		label, rest, inside := strings.Cut(name, ".")
		return inside && label != "" && strings.EqualFold(rest, domain) && !strings.ContainsAny(name, "/@")
	}
	return rule == name
}
