package credentials

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"sync"
	"time"
)

// serverName is what every node's certificate is for. Nodes are known by the
// secret that they share and not by their addresses, which move.
const serverName = "queue.constellation.internal"

// A certificate lives this long on both sides of now, for clocks that are off,
// and is made anew well before its end.
const (
	certificateSlack = 24 * time.Hour
	certificateRenew = 6 * time.Hour
)

// minSecret is the least number of bytes that keys are derived from.
const minSecret = 8

// Login is a name and a password.
type Login struct {
	User, Password string
}

// Credentials are what all parts of one queue derive from the launch's secret:
// an authority that is the same everywhere, and logins. None of it is on disk.
type Credentials struct {
	// Engine is the login of engines at a node, Node that of nodes at each other.
	Engine, Node Login

	key       ed25519.PrivateKey
	authority *x509.Certificate
	pool      *x509.CertPool

	mu   sync.Mutex
	leaf *tls.Certificate
	made time.Time
}

// Derive returns a secret's credentials. A secret that is empty or too short is
// an error.
func Derive(secret []byte) (*Credentials, error) {
	if secret = bytes.TrimSpace(secret); len(secret) < minSecret {
		return nil, errors.New("the queue's secret is empty or too short: it is the launch's token")
	}
	derive := func(purpose string) []byte {
		key, err := hkdf.Key(sha256.New, secret, nil, "constellation queue "+purpose, ed25519.SeedSize)
		if err != nil {
			panic(err) // only a length out of range
		}
		return key
	}
	login := func(user string) Login {
		return Login{user, base64.RawURLEncoding.EncodeToString(derive(user))}
	}
	c := &Credentials{key: ed25519.NewKeyFromSeed(derive("authority")), Engine: login("engine"), Node: login("node")}
	// Fixed in all its fields and signed without randomness: the same bytes everywhere.
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "constellation queue"},
		NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:              time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err != nil {
		return nil, err
	}
	if c.authority, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	c.pool = x509.NewCertPool()
	c.pool.AddCert(c.authority)
	return c, nil
}

// certificate returns this process's own certificate, made anew in time.
func (c *Credentials) certificate() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if age := now.Sub(c.made); c.leaf != nil && age >= 0 && age < certificateRenew {
		return c.leaf, nil
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "queue"},
		DNSNames:     []string{serverName},
		NotBefore:    now.Add(-certificateSlack),
		NotAfter:     now.Add(certificateSlack + certificateRenew),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, c.authority, public, c.key)
	if err != nil {
		return nil, err
	}
	c.leaf, c.made = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, now
	return c.leaf, nil
}

// TLS returns the configuration of both ends of a link: each shows a certificate of
// the authority and asks the other for one.
func (c *Credentials) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: serverName,
		RootCAs:    c.pool,
		ClientCAs:  c.pool,
		ClientAuth: tls.RequireAndVerifyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.certificate()
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return c.certificate()
		},
	}
}
