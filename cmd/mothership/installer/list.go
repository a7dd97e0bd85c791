package installer

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

// newInstallListCommand lists the launches of this machine.
func newInstallListCommand(std command.Streams) *cobra.Command {
	common := &launchFlags{}
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the launches on this machine",
		Example: "  algo-install satellite list\n  algo-install satellite list -o json | jq -r '.[].launch_id'",
		Args:    command.NoArguments,
		RunE: func(*cobra.Command, []string) error {
			if err := common.check(); err != nil {
				return err
			}
			list, err := install.List(common.folder())
			if err != nil {
				return err
			}
			return common.print(std.Out, list, func(w io.Writer) {
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
