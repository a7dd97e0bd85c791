package installer

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) push() *cobra.Command {
	var o install.PushOptions
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Push the launch's images to the configured registry",
		Long: `Push the launch's images, digests unchanged, each blob once. A push that was
stopped goes on where it was. The login is that of 'docker login'. --from pushes
from an export or a folder that is not unpacked; what that holds of a
configuration is taken with --with-config, which prints every value.`,
		Example: "  docker login registry.example.com:5000\n  " + launchPath + " push\n  " + launchPath + " push --from /media/usb/plant.tar",
		Args:    command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			if o.Config && o.From == "" {
				return command.UsageError{Err: errors.New("--with-config goes with --from; 'configure --with-config' takes the configuration of the launch's folder")}
			}
			o.Progress = v.progress()
			r, err := install.Push(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) {
				if r.Pushed == 0 {
					fmt.Fprintf(w, "nothing to push: %s has every image (%d)\n", r.Registry, len(r.Images))
				} else {
					fmt.Fprintf(w, "%d of %d images pushed to %s\n", r.Pushed, len(r.Images), r.Registry)
				}
				for _, m := range r.Images {
					fmt.Fprintf(w, "  %s\t→ %s\n", strings.SplitN(m.Source, "@", 2)[0], m.Destination)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&o.From, "from", "", "an export or a folder to push from, instead of the launch's own")
	cmd.Flags().StringVar(&o.Trust, "trust", "", trustAbout)
	cmd.Flags().BoolVar(&o.Config, "with-config", false, "with --from: print and take the configuration that it holds")
	return cmd
}
