package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/health"
)

func (v verbs) logs() *cobra.Command {
	var o health.LogOptions
	cmd := &cobra.Command{
		Use:   "logs [VANITY_URL | engine | queue]",
		Short: "Show what the launch's pods log",
		Long:  "Show the last lines that the launch's pods logged, each behind its pod's name:\nof all of them, of one algorithm, of the engines, or of the queue.",
		Example: `  ` + launchPath + ` logs foo/bar --tail 100
  ` + launchPath + ` logs engine --follow --since 10m`,
		Args: cobra.ArbitraryArgs,
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("logs takes one vanity URL; not %q", args)}
			}
			if len(args) == 1 {
				o.Of = args[0]
			}
			return install.Logs(cmd.Context(), v.folder(), o, v.std.data())
		}),
	}
	flags := cmd.Flags()
	flags.BoolVarP(&o.Follow, "follow", "f", false, "go on with new lines until Ctrl-C")
	flags.Int64Var(&o.Tail, "tail", 20, "last lines of each container; -1 is all")
	flags.DurationVar(&o.Since, "since", time.Duration(0), "only lines younger than this, such as 10m")
	flags.BoolVar(&o.Previous, "previous", false, "of the containers before their last restart")
	return cmd
}
