package installer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

func (v verbs) logs() *cobra.Command {
	var o health.LogOptions
	cmd := &cobra.Command{
		Use:   "logs [VANITY_URL | engine | queue]",
		Short: "Show what the launch's pods log",
		Long: `Show the last lines that the launch's pods logged, each behind its pod's name:
of all of them, of one algorithm, of the engines, or of the queue.

--request shows what of one call is in any log: the engine's line of it, and what an
algorithm logged with its ID, which it gets in the header X-Request-ID. A caller
finds the ID in the same header of the answer; an asynchronous call's is in its
answer.`,
		Example: `  ` + launchPath + ` logs foo/bar --tail 100
  ` + launchPath + ` logs engine --follow --since 10m
  ` + launchPath + ` logs --request req-0f9a3c52-…`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return command.UsageError{Err: fmt.Errorf("logs takes one vanity URL; not %q", args)}
			}
			if len(args) == 1 {
				o.Of = args[0]
			}
			if o.Request != "" {
				if strings.ContainsFunc(o.Request, func(r rune) bool { return r <= ' ' || r > '~' }) || len(o.Request) > 200 {
					return command.UsageError{Err: errors.New("--request is the ID of a call, such as req-0f9a3c52-7d21-4b7e-9c0e-0123456789ab")}
				}
				if !cmd.Flags().Changed("tail") {
					o.Tail = -1 // it may be far back
				}
			}
			return install.Logs(cmd.Context(), v.folder(), o, v.std.Data())
		}),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	flags.Int64Var(&o.Tail, "tail", 20, "last lines of each container; -1 is all")
	flags.DurationVar(&o.Since, "since", time.Duration(0), "only lines younger than this, such as 10m")
	flags.StringVar(&o.Request, "request", "", "only lines that have the `ID` of a call, of all lines there are")
	flags.BoolVar(&o.Previous, "previous", false, "of the containers before their last restart")
	return cmd
}
