package satellite

import (
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/satellite/runner"
)

// newSatelliteRunnerCommand makes a pipe process answer as a langserver does.
// Nobody types it: the installer puts it beside pipe images.
func newSatelliteRunnerCommand(std command.Streams) *cobra.Command {
	var (
		opts     runner.Options
		copyTo   string
		logLevel slog.Level
	)
	cmd := &cobra.Command{
		Use:   "runner [--find] [-- COMMAND [ARGUMENT...]]",
		Short: "Answer calls with an algorithm that speaks the pipe protocol",
		Long: `Answer calls, as a langserver does, with an algorithm that speaks the pipe
protocol: a process that prints PIPE_INIT_COMPLETE once it is loaded, reads a
line of JSON for each call and writes its reply to the FIFO /tmp/algoout.

COMMAND starts that process; without one it is ` + runner.InstalledPipe + `,
else ` + runner.LocalPipe + ` in the working directory. A process that ends is started again.

algo-install puts it into the pods of images with constellation.protocol=pipe.`,
		Example: `  cd deploy/examples/shell
  mothership satellite runner --listen :9999 -- ./pipe.sh
  curl -H "Content-Type: text/plain" -d Neo localhost:9999`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if copyTo != "" {
				return runner.Install(copyTo, "mothership")
			}
			opts.Command = args
			opts.Stdout, opts.Stderr = std.Out, std.Err
			opts.Log = slog.New(slog.NewJSONHandler(std.Err, &slog.HandlerOptions{Level: logLevel}))
			opts.Reap = os.Getpid() == 1
			return runner.Run(cmd.Context(), opts)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Listen, "listen", ":9999", "address for calls")
	flags.BoolVar(&opts.Find, "find", false, "look for the two well-known programs before COMMAND")
	flags.StringVar(&opts.FIFO, "fifo", runner.DefaultFIFO, "where the process writes its replies")
	flags.DurationVar(&opts.DrainDelay, "drain-delay", 5*time.Second, "how long calls are accepted after the stop signal, while the engines stop sending them")
	flags.DurationVar(&opts.DrainTimeout, "drain-timeout", 0, "how long a running call may take after that (default 5m)")
	flags.StringVar(&copyTo, "copy-to", "", "copy this program to a folder and end: what the init container does")
	flags.TextVar(&logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error, on stderr")
	return cmd
}
