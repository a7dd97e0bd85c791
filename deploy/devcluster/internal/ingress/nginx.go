package ingress

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Nginx is the running nginx and the folder of its configuration.
type Nginx struct {
	Dir     string
	Address string
	Start   func()       // starts nginx; called once, when there is a configuration
	Reload  func() error // makes it read the configuration again

	running bool
	current []byte
}

// Apply puts a configuration in use if it differs from the one in use. nginx
// checks it first: a bad one is refused and the old one stays.
func (n *Nginx) Apply(ctx context.Context, f Files) error {
	for name, data := range f.TLS {
		if err := os.WriteFile(filepath.Join(n.Dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	if n.running && bytes.Equal(n.current, f.Conf) {
		return nil
	}
	if !n.running {
		if err := n.writeDefaultCertificate(); err != nil {
			return err
		}
	}
	conf := filepath.Join(n.Dir, "nginx.conf")
	if err := os.WriteFile(conf+".new", f.Conf, 0o600); err != nil {
		return fmt.Errorf("write nginx configuration: %w", err)
	}
	if out, err := exec.CommandContext(ctx, "nginx", "-t", "-q", "-c", conf+".new").CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return fmt.Errorf("check nginx configuration: %w: %s", err, out)
	}
	if err := os.Rename(conf+".new", conf); err != nil {
		return fmt.Errorf("write nginx configuration: %w", err)
	}
	n.current = f.Conf
	if n.running {
		return n.Reload()
	}
	n.running = true
	n.Start()
	return n.waitListening(ctx)
}

// waitListening waits for the first connection: a signal sent earlier would end nginx.
func (n *Nginx) waitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(n.Address, "80"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for nginx: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (n *Nginx) writeDefaultCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make default certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "devcluster ingress"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(365 * 24 * time.Hour), IPAddresses: []net.IP{net.ParseIP(n.Address)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make default certificate: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("make default certificate: %w", err)
	}
	data := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	if err := os.WriteFile(filepath.Join(n.Dir, DefaultCertificate), data, 0o600); err != nil {
		return fmt.Errorf("write default certificate: %w", err)
	}
	return nil
}
