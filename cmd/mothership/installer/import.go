package installer

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

// newInstallImportCommand takes a launch in that was carried here.
func newInstallImportCommand(std command.Streams) *cobra.Command {
	common := &launchFlags{}
	var o install.ImportOptions
	cmd := &cobra.Command{
		Use:   "import FILE | FOLDER",
		Short: "Take in a launch that was carried to this machine",
		Long: `Take a launch in from an export (FILE, or its first part FILE.001), from a
launch's folder, or from an OCI layout that another tool copied. Its signature
and every byte are checked. Needs no mothership.

The first launch of a mothership needs --trust with the ID of the mothership's
key, which an admin there reads on the panel's System page, with 'mothership
signing-key' or with GET /v1/system, and which does not travel with the launch.
No signature covers a configuration: one that the import holds is taken only
with --with-config, which prints every value.`,
		Example: `  algo-install satellite import /media/usb/plant.tar --trust 0123456789abcdef
  skopeo copy --all docker://mothership.example.com/satellites/6f1d…:9b2c… oci:plant
  algo-install satellite import plant`,
		Args: command.OneArgument("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := common.check(); err != nil {
				return err
			}
			o.Root, o.From, o.Progress = common.folder(), args[0], common.progress(std)
			r, err := install.Import(cmd.Context(), o)
			if err != nil {
				return err
			}
			return common.print(std.Out, r, func(w io.Writer) {
				what := fmt.Sprintf("imported version %d of satellite %s for launch %s", r.SatelliteVersion, r.Satellite, r.Launch)
				if r.Unchanged {
					what = fmt.Sprintf("version %d of satellite %s is here already", r.SatelliteVersion, r.Satellite)
				}
				fmt.Fprintf(w, "%s\n%s\nto go on: algo-install satellite %s %s deploy\n", what, r.Path, r.SatelliteID, r.LaunchID)
			})
		},
	}
	cmd.Flags().StringVar(&o.Trust, "trust", "", trustAbout)
	cmd.Flags().BoolVar(&o.Config, "with-config", false, "print and take the configuration that it holds")
	common.add(cmd)
	return cmd
}
