// Command hello is a sample algorithm image: it speaks langserver's HTTP, as
// images of the original platform do, on port 9999.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/constellation-serving/constellation/deploy/examples/serve"
)

func main() { serve.Main("hello", ":9999", run) }

// run answers until a DELETE ends the process, or ctx does: then the call that
// runs is finished first.
func run(ctx context.Context, ln net.Listener) error {
	algorithm := newLangserver(hello)
	server := &http.Server{Handler: algorithm, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-algorithm.ended:
		return ignoreClosed(server.Close())
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return ignoreClosed(server.Shutdown(last))
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
