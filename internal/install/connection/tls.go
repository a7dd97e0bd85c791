package connection

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
)

// HeaderTimeout is how long an answer may take to begin.
const HeaderTimeout = 30 * time.Second

// MostPerHost is how many connections to one host are kept for further use.
const MostPerHost = 16

// TLS is how the other side of a connection is checked.
type TLS struct {
	CAFile   string // PEM, besides the system's
	Insecure bool   // not at all
}

func (t TLS) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.Insecure} //nolint:gosec // the operator's choice
	if t.CAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeUsage, "read the CA file")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.Errorf(fault.CodeUsage, "the CA file %s has no certificate in PEM form", t.CAFile)
	}
	config.RootCAs = pool
	return config, nil
}

// Transport has no overall time limit: bodies are large, and whoever reads
// them watches for silence.
func (t TLS) Transport() (*http.Transport, error) {
	config, err := t.config()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       config, // and so HTTP/1.1: a connection a download, each with its own window
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: HeaderTimeout,
		MaxIdleConnsPerHost:   MostPerHost,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
	}, nil
}
