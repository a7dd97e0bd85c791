// Package satellite is the commands of a satellite's pods: engine, queue, runner and
// what brings weights.
package satellite

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
)

// NewCommand is the satellite's runtime, run in pods that
// algo-install makes, or on a laptop.
func NewCommand(std command.Streams, version string) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "satellite",
		Short: "Run the parts of a satellite",
	}, newSatelliteEngineCommand(std, version), newSatelliteQueueCommand(std), newSatelliteRunnerCommand(std), newSatelliteWeightsCommand(std))
}

// runWithHeartbeat runs an engine and, when it belongs to a launch, reports to
// the mothership beside it.
func runWithHeartbeat(ctx context.Context, e *engine.Engine, version string, log *slog.Logger) error {
	token := e.Token()
	if token == "" {
		return e.Run(ctx)
	}
	lease, err := e.Lease()
	if err != nil {
		return err
	}
	sender := heartbeat.New(heartbeat.Options{Engine: e, Token: token, Version: version, Lease: lease, Work: e.Work(), Log: log, Registry: e.Registry()})
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); sender.Run(ctx) }()
	err = e.Run(ctx)
	stop()
	<-ended
	return err
}
