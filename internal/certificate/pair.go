package certificate

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

const (
	lookEvery = time.Second
	warnEvery = 24 * time.Hour
	maxFile   = 1 << 20
)

// Options are what a certificate is read with.
type Options struct {
	CertFile, KeyFile string                // PEM; the certificate's chain after it
	ClientCAs         func() *x509.CertPool // whose certificates callers may show; nil, or of nil, asks for none
	Now               func() time.Time
	Log               *slog.Logger
}

// Pair is a server's certificate with its key, as its files have them. Make it
// with Load.
type Pair struct {
	opts      Options
	pair      atomic.Pointer[tls.Certificate]
	cert, key []byte // in force
	refused   atomic.Bool
	problem   string // that was logged last
	warned    time.Time
}

// Load reads the files. That they cannot be used is an error for the operator.
func Load(o Options) (*Pair, error) {
	p := &Pair{opts: o}
	if err := p.load(); err != nil {
		return nil, err
	}
	p.warn()
	return p, nil
}

// Run takes new files until ctx ends.
func (p *Pair) Run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			p.look()
		}
	}
}

// look takes the files if they changed, and warns of the certificate's end.
func (p *Pair) look() {
	err := p.load()
	p.refused.Store(err != nil)
	switch {
	case err == nil:
		p.problem = ""
	case err.Error() != p.problem:
		p.problem = err.Error()
		p.opts.Log.Error("the new certificate is refused; the old one stays in use", "error", err)
	}
	p.warn()
}

// load puts the files in force if they are others than those that are.
func (p *Pair) load() error {
	cert, err := read(p.opts.CertFile)
	if err != nil {
		return err
	}
	key, err := read(p.opts.KeyFile)
	if err != nil {
		return err
	}
	if p.pair.Load() != nil && bytes.Equal(cert, p.cert) && bytes.Equal(key, p.key) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("the certificate %s and the key %s: %w", p.opts.CertFile, p.opts.KeyFile, err)
	}
	first := p.pair.Load() == nil
	p.cert, p.key, p.warned = cert, key, time.Time{}
	p.pair.Store(&pair)
	if !first {
		p.opts.Log.Info("a new certificate is in use", "expires_at", pair.Leaf.NotAfter)
	}
	return nil
}

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the certificate: %w", err)
	}
	return data, nil
}

// Expires returns when the certificate in force ends.
func (p *Pair) Expires() time.Time { return p.pair.Load().Leaf.NotAfter }

// Current reports whether the files as they are now are in force.
func (p *Pair) Current() bool { return !p.refused.Load() }

// WarnBefore returns how long before its end a certificate is due: 14 days, or a
// fifth of its life where that is shorter.
func WarnBefore(leaf *x509.Certificate) time.Duration {
	return min(14*24*time.Hour, leaf.NotAfter.Sub(leaf.NotBefore)/5)
}

// warn logs once a day that the certificate is near its end or past it.
func (p *Pair) warn() {
	leaf, now := p.pair.Load().Leaf, p.opts.Now()
	if now.Before(leaf.NotAfter.Add(-WarnBefore(leaf))) || now.Sub(p.warned) < warnEvery {
		return
	}
	p.warned = now
	p.opts.Log.Warn("the certificate that callers see ends soon, or has ended: put a new one in its place, which is taken without a restart", "expires_at", leaf.NotAfter)
}

// Config returns how TLS is served: from TLS 1.2 on, HTTP/2 by ALPN. A client's
// certificate is verified when it shows one and there are authorities for it.
func (p *Pair) Config() *tls.Config {
	base := &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return p.pair.Load(), nil },
		Time:           p.opts.Now,
	}
	if p.opts.ClientCAs == nil {
		return base
	}
	plain := base.Clone()
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		authorities := p.opts.ClientCAs()
		if authorities == nil {
			return plain, nil
		}
		asking := plain.Clone()
		asking.ClientAuth, asking.ClientCAs = tls.VerifyClientCertIfGiven, authorities
		// Who resumes a session would not show the certificate again.
		asking.SessionTicketsDisabled = true
		return asking, nil
	}
	return base
}
