package installer

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) export() *cobra.Command {
	var split string
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the launch into one file, to carry it",
		Long: `Write the launch, with its configuration, into one uncompressed tar. --split
writes parts FILE.001, FILE.002 and on, and FILE.sha256 for 'sha256sum -c'. The
other machine takes it in with 'algo-install satellite import FILE', or pushes
from it without unpacking with 'push --from FILE'; no signature covers the
configuration, so it is taken there only with --with-config.`,
		Example: `  ` + launchPath + ` export /media/usb/plant.tar
  ` + launchPath + ` export /media/usb/plant.tar --split 4G`,
		Args: command.OneArgument("FILE"),
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			o := install.ExportOptions{File: args[0], Progress: v.progress()}
			if split != "" {
				size, err := install.ParseSize(split)
				if err != nil {
					return command.UsageError{Err: fmt.Errorf("--split: %w", err)}
				}
				o.Split = size
			}
			r, err := install.Export(cmd.Context(), v.folder(), o)
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) {
				for _, file := range r.Files {
					fmt.Fprintln(w, file)
				}
				if r.Sums != "" {
					fmt.Fprintln(w, r.Sums)
				}
			})
		}),
	}
	cmd.Flags().StringVar(&split, "split", "", "most bytes of a file, such as 700M or 4G")
	return cmd
}
