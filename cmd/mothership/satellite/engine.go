package satellite

import (
	"errors"
	"log/slog"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/satellite/engine"
)

const engineHelp = `Answer algorithm calls at /v1/algo/… and hand them to replicas.

DIR holds routes.json (which algorithms, and where) and keys.json (who may
call). Both are read again when they change, with no restart; a broken new
file is refused and the old one stays in use.

An algorithm's replicas are its "endpoints" when it lists any, else the ready
endpoints of its "service" in the cluster.

With --tls-listen it answers by HTTPS too. Tokens of an issuer (JWT) and client
certificates are taken beside keys where routes.json has "auth".

Engines of one satellite find each other (in a cluster by themselves, else by
--peer) and agree on which of them hands out an algorithm's slots; they know
each other by the launch's token in DIR/token.`

const engineExample = `  # on a laptop, with an algorithm on port 9999
  mkdir conf
  echo '{"algorithms":[{"vanity_url":"demo/hello","endpoints":["127.0.0.1:9999"],
    "algorithm":"neo/hello/0123456789012345678901234567890123456789"}]}' > conf/routes.json
  echo '{"keys":[{"id":"1","name":"me","sha256":"'$(printf %s secret | sha256sum | cut -d" " -f1)'"}]}' > conf/keys.json
  mothership satellite engine --config conf --listen :8080
  curl -H "Authorization: Simple secret" -H "Content-Type: text/plain" -d Neo localhost:8080/v1/algo/demo/hello

  # outside the cluster, with replicas inside it
  mothership satellite engine --config conf --kubeconfig ~/.kube/config --namespace algorithms`

func newSatelliteEngineCommand(std command.Streams, version string) *cobra.Command {
	var (
		opts      engine.Options
		accessLog bool
		eventLoop bool
		logLevel  slog.Level
	)
	cmd := &cobra.Command{
		Use:     "engine --config DIR",
		Short:   "Answer algorithm calls and hand them to replicas",
		Long:    engineHelp,
		Example: engineExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return command.UsageError{Err: err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Dir == "" {
				return command.UsageError{Err: errors.New("--config names the folder with routes.json and keys.json; see 'mothership satellite engine --help'")}
			}
			if opts.AccessSample < 1 {
				return command.UsageError{Err: errors.New("--access-log-sample is 1 for every call, or more")}
			}
			opts.Log = slog.New(slog.NewJSONHandler(std.Err, &slog.HandlerOptions{Level: logLevel}))
			if accessLog {
				opts.AccessLog = std.Out
			}
			if opts.NoFastPath = !eventLoop; eventLoop {
				// The loops sit in system calls: with processors to spare, Go's
				// scheduler leaves them theirs.
				opts.Loops = runtime.GOMAXPROCS(0)
				runtime.GOMAXPROCS(opts.Loops + 2)
			}
			e, err := engine.New(cmd.Context(), opts)
			if err != nil {
				return err
			}
			dropStartupCode()
			return runWithHeartbeat(cmd.Context(), e, version, opts.Log)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&opts.Dir, "config", "", "folder with routes.json and keys.json (required)")
	flags.StringVar(&opts.Listen, "listen", ":8080", "address for calls, /healthz and /readyz")
	flags.StringVar(&opts.MetricsListen, "metrics-listen", ":9090", "address for /metrics, /healthz and /readyz; empty is none")
	flags.StringVar(&opts.TLS.Listen, "tls-listen", "", "address for the same by TLS (HTTP/1.1 and HTTP/2); empty is none")
	flags.StringVar(&opts.TLS.CertFile, "tls-cert", "", "its certificate with the chain, PEM, read again when it changes (default: tls.crt in the --config folder)")
	flags.StringVar(&opts.TLS.KeyFile, "tls-key", "", "its key, PEM (default: tls.key in the --config folder)")
	flags.StringVar(&opts.Kubeconfig, "kubeconfig", "", "cluster to look services up in (default: the pod's own service account)")
	flags.StringVar(&opts.Namespace, "namespace", "", "namespace of the services (default: the pod's, or the kubeconfig's)")
	flags.StringSliceVar(&opts.Peers, "peer", nil, "host:port of another engine of this satellite, or several (default: looked up in the cluster)")
	flags.DurationVar(&opts.DrainDelay, "drain-delay", 5*time.Second, "how long calls are accepted after the stop signal, while the cluster stops sending them")
	flags.DurationVar(&opts.DrainTimeout, "drain-timeout", 5*time.Minute, "how long calls in flight may take after that")
	flags.DurationVar(&opts.ReloadEvery, "reload-every", time.Second, "how often routes.json and keys.json are looked at")
	flags.Float64Var(&opts.KeyRate.PerSecond, "key-rate", 0, "calls per second that a key may make which has no rate in keys.json; 0 is no limit")
	flags.StringVar(&opts.QueueDir, "queue-dir", "", "folder in which this engine runs the queue of durable calls itself; empty: as routes.json says")
	flags.BoolVar(&eventLoop, "event-loop", true, "take plain, small calls in an event loop on Linux; with =false net/http has all calls")
	flags.BoolVar(&accessLog, "access-log", true, "write a JSON line a call on stdout")
	flags.IntVar(&opts.AccessSample, "access-log-sample", 1, "of the calls that went well, write one in so many; all others are always written")
	flags.StringVar(&opts.OTLP, "otlp-endpoint", "", "URL of an OpenTelemetry collector (OTLP over HTTP) for a span a call; empty: where OTEL_EXPORTER_OTLP_ENDPOINT says, or none. OTEL_EXPORTER_OTLP_HEADERS and OTEL_TRACES_SAMPLER count")
	flags.TextVar(&logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error, on stderr")
	return cmd
}
