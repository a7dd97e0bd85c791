package tlsserve

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/certificate"
	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// Address is where TLS is served, and with which files. An empty Listen is nowhere.
type Address struct {
	Listen   string
	CertFile string // "" is tls.crt of the configuration's folder
	KeyFile  string // "" is tls.key of it
}

// Server is a listener of connections by TLS, with the certificate that they see.
type Server struct {
	*certificate.Pair
	net.Listener
}

// Listen listens at an address, whose files are looked for in dir where it does not
// name them; o has the rest. It returns nil when the address is nowhere.
func Listen(ctx context.Context, a Address, dir string, o certificate.Options) (*Server, error) {
	if a.Listen == "" {
		return nil, nil
	}
	o.CertFile, o.KeyFile = cmp.Or(a.CertFile, filepath.Join(dir, config.TLSCertFile)), cmp.Or(a.KeyFile, filepath.Join(dir, config.TLSKeyFile))
	pair, err := certificate.Load(o)
	if err != nil {
		return nil, fmt.Errorf("serve TLS: %w", err)
	}
	plain, err := ListenTCP(ctx, a.Listen)
	if err != nil {
		return nil, err
	}
	o.Log.Info("the engine serves TLS", "listen", plain.Addr().String(), "certificate_expires_at", pair.Expires())
	return &Server{pair, tls.NewListener(plain, pair.Config())}, nil
}

// ListenTCP listens on host:port. The error names it.
func ListenTCP(ctx context.Context, addr string) (net.Listener, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return ln, nil
}

// Run keeps the certificate current until ctx ends; nil does nothing.
func (s *Server) Run(ctx context.Context) {
	if s != nil {
		s.Pair.Run(ctx)
	}
}

// NewHTTP returns a server of HTTP/1.1 and HTTP/2, plain and by TLS, with time-outs
// that no honest caller meets: a head within 15 seconds, which bounds a handshake
// too, a body within read, and an answer within write.
func NewHTTP(h http.Handler, log *slog.Logger, read, write time.Duration) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true) // for ingress controllers that speak h2c
	return &http.Server{
		Handler: h, Protocols: protocols, ReadHeaderTimeout: 15 * time.Second, ReadTimeout: read, WriteTimeout: write,
		IdleTimeout: 3 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
