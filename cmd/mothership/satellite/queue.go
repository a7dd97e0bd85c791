package satellite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	satellite "github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const queueHelp = `Store a satellite's durable calls, as one of three nodes.

What a node acknowledges is synced on the disks of two of the three. Nodes and
engines know each other by the launch's token in CONFIG/token; their links are
encrypted with keys that are derived from it.

A node keeps its name, its folder and its peers for ever. It checks the folder
before it starts on it, and refuses one that a newer version wrote.

/readyz says when the node's log is current, /healthz that it runs, /metrics
its figures.

algo-install puts the nodes into a StatefulSet. On a laptop the engine runs the
queue itself: 'mothership satellite engine --queue-dir DIR'.`

// queueStop bounds a node's end: leadership is handed over in a second or two.
const queueStop = 45 * time.Second

// queueSettled is when a node has done what it does only once.
const queueSettled = 15 * time.Second

// queuePeers are the nodes as a StatefulSet with a headless Service names them.
var queuePeers = []string{"queue-0.queue:6222", "queue-1.queue:6222", "queue-2.queue:6222"}

// newSatelliteQueueCommand runs a node of the queue. Nobody types it: the
// installer puts it into pods.
func newSatelliteQueueCommand(std command.Streams) *cobra.Command {
	var (
		opts     node.Options
		dir      string
		logLevel slog.Level
	)
	cmd := &cobra.Command{
		Use:   "queue --config DIR --dir DIR",
		Short: "Store durable calls, as one of three nodes",
		Long:  queueHelp,
		Example: `  # a single node
  mothership satellite queue --config conf --dir data --peers ""`,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return command.UsageError{Err: err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case dir == "":
				return command.UsageError{Err: errors.New("--config names the folder with the launch's token; see 'mothership satellite queue --help'")}
			case opts.Dir == "":
				return command.UsageError{Err: errors.New("--dir names the folder that the node stores in; see 'mothership satellite queue --help'")}
			case opts.Size < satellite.MinQueueSize:
				return command.UsageError{Err: fmt.Errorf("--size is the volume's size in bytes, %d at the least", int64(satellite.MinQueueSize))}
			}
			var err error
			if opts.Secret, err = os.ReadFile(filepath.Join(dir, satellite.TokenFile)); err != nil {
				return fmt.Errorf("read the token: %w", err)
			}
			opts.Log = slog.New(slog.NewJSONHandler(std.Err, &slog.HandlerOptions{Level: logLevel}))
			return runQueueNode(cmd.Context(), opts)
		},
	}
	name, _ := os.Hostname()
	flags := cmd.Flags()
	flags.StringVar(&dir, "config", "", "folder with the launch's token (required)")
	flags.StringVar(&opts.Dir, "dir", "", "folder to store in (required)")
	flags.StringVar(&opts.Name, "name", name, "this node's name for ever: its pod's")
	flags.StringSliceVar(&opts.Peers, "peers", queuePeers, "route addresses of all nodes, this one too; empty is a single node")
	flags.StringVar(&opts.ClientListen, "client-listen", ":4222", "address for engines")
	flags.StringVar(&opts.RouteListen, "route-listen", ":6222", "address for the other nodes")
	flags.StringVar(&opts.HealthListen, "health-listen", ":8222", "address for /healthz, /readyz and /metrics; empty is none")
	flags.Int64Var(&opts.Size, "size", satellite.DefaultQueueSize, "size of the volume in bytes; what is stored stays well below it")
	flags.TextVar(&logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error, on stderr")
	return cmd
}

// runQueueNode runs a node until ctx ends.
func runQueueNode(ctx context.Context, opts node.Options) error {
	n, err := node.Start(ctx, opts)
	if err != nil {
		return err
	}
	// By then it has read its log and found the others.
	settled := time.AfterFunc(queueSettled, dropStartupCode)
	defer settled.Stop()
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), queueStop)
	defer cancel()
	return n.Close(stop)
}
