package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/serve"
)

// newInstallListCommand lists the launches of this machine.
func newInstallListCommand(std streams) *cobra.Command {
	common := &launchFlags{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the launches on this machine",
		Example: "  algo-install satellite list\n  algo-install satellite list -o json | jq -r '.[].launch_id'",
		Args:    serve.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := common.check(); err != nil {
				return err
			}
			list, err := install.List(common.folder())
			if err != nil {
				return err
			}
			return common.print(std.out, list, func(w io.Writer) {
				fmt.Fprintln(w, "SATELLITE\tLAUNCH\tVERSION\tSTATE\tSATELLITE_ID\tLAUNCH_ID")
				for _, l := range list {
					fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", l.Satellite, l.Launch, l.Version, l.State, l.SatelliteID, l.LaunchID)
				}
			})
		},
	}
	common.add(cmd)
	return cmd
}
