// Package serve is what every sample algorithm's main does besides its work:
// listen, and when Kubernetes ends the container, finish what runs.
package serve

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// HTTP serves a handler on port 8080 until SIGTERM, then lets requests that run
// end within a minute. A failure exits the process.
func HTTP(name string, handler http.Handler) {
	Main(name, ":8080", func(ctx context.Context, ln net.Listener) error { return Until(ctx, ln, handler) })
}

// Main listens at address, or where --listen says, and calls run with a context
// that SIGTERM ends. A failure exits the process.
func Main(name, address string, run func(ctx context.Context, ln net.Listener) error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := listen(ctx, name, address, run)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func listen(ctx context.Context, name, address string, run func(context.Context, net.Listener) error) error {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.StringVar(&address, "listen", address, "address to serve on")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	return run(ctx, ln)
}

// Until serves a handler until ctx ends, then lets requests that run end within
// a minute. A WebSocket is no request any more: it is its handler's to close.
func Until(ctx context.Context, ln net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if err := server.Shutdown(last); err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("finish what runs: %w", err)
		}
		return nil
	}
}

// JSON answers with a status and a value.
func JSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Healthy answers the readiness probe: who serves is ready.
func Healthy(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }
