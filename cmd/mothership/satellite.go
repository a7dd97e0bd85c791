package main

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/satellite/engine"
	"github.com/constellation-serving/constellation/internal/satellite/heartbeat"
)

// newSatelliteCommand is the satellite's runtime, run in pods that
// algo-install makes, or on a laptop.
func newSatelliteCommand(std streams) *cobra.Command {
	return subcommands(&cobra.Command{
		Use:   "satellite",
		Short: "Run the parts of a satellite",
	}, newSatelliteEngineCommand(std), newSatelliteQueueCommand(std), newSatelliteRunnerCommand(std), newSatelliteWeightsCommand(std))
}

// runWithHeartbeat runs an engine and, when it belongs to a launch, reports to
// the mothership beside it.
func runWithHeartbeat(ctx context.Context, e *engine.Engine, log *slog.Logger) error {
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
