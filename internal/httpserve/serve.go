package httpserve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/internal/certificate"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/httpserve/parking"
)

// Config is how a server listens and stops.
type Config struct {
	Listener net.Listener // from Listen
	TLSCert  string       // a PEM file, which is read again when it changes; "" serves plain HTTP
	TLSKey   string
	TLS      *tls.Config // whose certificates come from elsewhere; nil is TLSCert's
	Log      *slog.Logger
	// Grace bounds how long requests may take to finish after ctx has ended.
	Grace time.Duration
	// OnStop is called when stopping begins. The listener stays open for as
	// long as it says, so that load balancers see that we are not ready.
	OnStop func() time.Duration
}

// Listen opens the address; its error says what to do.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		var op *net.OpError
		cause := err
		if errors.As(err, &op) {
			cause = op.Err
		}
		return nil, constellation.Wrap(err, constellation.KindUnavailable,
			"cannot listen on %s (%s); give another address with --listen", address, cause)
	}
	return l, nil
}

// idleTimeout is how long a connection may wait for its next request: longer than a
// launch that was told to report more rarely.
const idleTimeout = 150 * time.Second

const (
	maxHeader  = 64 << 10 // bytes of a request's header
	maxStreams = 250      // requests at once on one HTTP/2 connection
)

// Serve answers requests until ctx ends, then takes no new ones and waits for
// those under way, at most Grace. Headers must arrive within 10 seconds; there
// is no bound on a whole answer, since images are large.
func Serve(ctx context.Context, c Config, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second, WriteByteTimeout: time.Minute},
		ErrorLog:          slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		// Requests outlive the signal that stops the server.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	server.TLSConfig = c.TLS
	if c.TLS == nil && c.TLSCert != "" {
		pair, err := certificate.Load(certificate.Options{CertFile: c.TLSCert, KeyFile: c.TLSKey, Now: time.Now, Log: c.Log})
		if err != nil {
			return constellation.Wrap(err, constellation.KindInvalid, "the certificate %s with key %s cannot be used: %s", c.TLSCert, c.TLSKey, err)
		}
		server.TLSConfig = pair.Config()
		renewing, end := context.WithCancel(context.WithoutCancel(ctx))
		defer end()
		go pair.Run(renewing)
	}
	listener := c.Listener
	if server.TLSConfig != nil {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	lot, err := parking.New(listener, idleTimeout)
	if err != nil {
		return err
	}
	defer lot.Close() //nolint:errcheck // the server has closed it
	server.BaseContext = func(net.Listener) context.Context { return lot.Context(context.WithoutCancel(ctx)) }
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(lot) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	if c.OnStop != nil {
		select {
		case err := <-failed:
			return fmt.Errorf("serve HTTP: %w", err)
		case <-time.After(c.OnStop()):
		}
	}
	c.Log.Info("stopping: finishing the requests under way", "at_most", c.Grace.String())
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Grace)
	defer cancel()
	if err := server.Shutdown(stopCtx); err != nil {
		c.Log.Warn("some requests did not finish in time and are cut off")
		return errors.Join(server.Close())
	}
	return nil
}
