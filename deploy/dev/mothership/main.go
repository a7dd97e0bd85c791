// Command mothership is the server alone, for make dev: without installer and
// satellite it is built in half the time.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/constellation-serving/constellation/internal/serve"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	cmd := serve.NewCommand(serve.Build{Version: "dev", Commit: "unknown"})
	err := cmd.ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "mothership: %s\n", err)
		os.Exit(1)
	}
}
