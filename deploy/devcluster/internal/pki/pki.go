// Package pki makes the certificates, keys and kubeconfigs of a cluster.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// lifetime of everything issued: a development cluster lives for days.
const lifetime = 365 * 24 * time.Hour

// Authority signs the certificates of one cluster and writes them to a folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// Subject says who a certificate is for.
type Subject struct {
	Name  string
	Group string
	DNS   []string
	IPs   []net.IP
}

// Pair is a certificate and its key in PEM.
type Pair struct{ Cert, Key []byte }

// NewAuthority makes a certificate authority and writes ca.crt and ca.key to dir.
func NewAuthority(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificate folder: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make CA key: %w", err)
	}
	template, err := newTemplate(pkix.Name{CommonName: "devcluster-ca"})
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign CA certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	a := &Authority{dir: dir, cert: cert, key: key, pem: certPEM(der)}
	keyPEM, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	return a, a.write("ca", Pair{Cert: a.pem, Key: keyPEM})
}

// Issue signs a certificate for servers and clients and writes FILE.crt and FILE.key.
func (a *Authority) Issue(file string, s Subject) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key for %s: %w", file, err)
	}
	name := pkix.Name{CommonName: s.Name}
	if s.Group != "" {
		name.Organization = []string{s.Group}
	}
	template, err := newTemplate(name)
	if err != nil {
		return Pair{}, err
	}
	template.DNSNames, template.IPAddresses = s.DNS, s.IPs
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate for %s: %w", file, err)
	}
	kp, err := keyPEM(key)
	if err != nil {
		return Pair{}, err
	}
	pair := Pair{Cert: certPEM(der), Key: kp}
	return pair, a.write(file, pair)
}

// ServiceAccountKeys writes sa.key and sa.pub, which sign and check the tokens of service accounts.
func (a *Authority) ServiceAccountKeys() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make service account key: %w", err)
	}
	private, err := keyPEM(key)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encode service account key: %w", err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(a.dir, "sa.key"), private, 0o600); err != nil {
		return fmt.Errorf("write service account key: %w", err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, "sa.pub"), public, 0o600); err != nil {
		return fmt.Errorf("write service account key: %w", err)
	}
	return nil
}

// Kubeconfig is a kubeconfig that carries its certificates and needs no other file.
func (a *Authority) Kubeconfig(cluster, server string, user Pair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[2]s
    certificate-authority-data: %[3]s
users:
- name: %[1]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
contexts:
- name: %[1]s
  context:
    cluster: %[1]s
    user: %[1]s
current-context: %[1]s
`, cluster, server, b64(a.pem), b64(user.Cert), b64(user.Key))
}

func (a *Authority) write(file string, p Pair) error {
	if err := os.WriteFile(filepath.Join(a.dir, file+".crt"), p.Cert, 0o600); err != nil {
		return fmt.Errorf("write certificate %s: %w", file, err)
	}
	if err := os.WriteFile(filepath.Join(a.dir, file+".key"), p.Key, 0o600); err != nil {
		return fmt.Errorf("write key %s: %w", file, err)
	}
	return nil
}

func newTemplate(name pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: name, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(lifetime)}, nil
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
