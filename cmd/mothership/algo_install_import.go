package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

// newInstallImportCommand takes a launch in that was carried here.
func newInstallImportCommand(std streams) *cobra.Command {
	common := &launchFlags{}
	var trusted string
	cmd := &cobra.Command{
		Use:   "import FILE | FOLDER",
		Short: "Take in a launch that was carried to this machine",
		Long: `Take a launch in from an export (FILE, or its first part FILE.001), from a
launch's folder, or from an OCI layout that another tool copied. Its signature
and every byte are checked. Needs no mothership.`,
		Example: `  algo-install satellite import /media/usb/plant.tar
  skopeo copy --all docker://mothership.example.com/satellites/6f1d…:9b2c… oci:plant
  algo-install satellite import plant`,
		Args: oneArgument("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := common.check(); err != nil {
				return err
			}
			r, err := install.Import(cmd.Context(), install.ImportOptions{Root: common.folder(), From: args[0], Trust: trusted, Progress: common.progress(std)})
			if err != nil {
				return err
			}
			return common.print(std.out, r, func(w io.Writer) {
				what := fmt.Sprintf("imported version %d of satellite %s for launch %s", r.SatelliteVersion, r.Satellite, r.Launch)
				if r.Unchanged {
					what = fmt.Sprintf("version %d of satellite %s is here already", r.SatelliteVersion, r.Satellite)
				}
				fmt.Fprintf(w, "%s\n%s\nto go on: algo-install satellite %s %s deploy\n", what, r.Path, r.SatelliteID, r.LaunchID)
			})
		},
	}
	cmd.Flags().StringVar(&trusted, "trust", "", "id of a new key of the mothership that its admin confirmed")
	common.add(cmd)
	return cmd
}
