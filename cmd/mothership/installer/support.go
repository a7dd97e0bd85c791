package installer

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) supportBundle() *cobra.Command {
	return &cobra.Command{
		Use:   "support-bundle FILE",
		Short: "Write what helps to find a fault into one file, without secrets",
		Long: `Write what can be learned of the launch into one file, a tar.gz of plain files:
versions, settings, the checks of 'doctor', the status, what the last deploys did,
the launch's objects and pods as the cluster has them, events, and logs. Values of
Secrets, keys, tokens, passwords and logins in URLs are taken out, wherever they
stand. What cannot be had, because a right is missing or the cluster is away, is
noted in its README.txt and stops nothing. At most 64 MiB before it is packed.

What algorithms log themselves is in it: look before you hand it on.`,
		Example: `  ` + launchPath + ` support-bundle support.tar.gz`,
		Args:    command.OneArgument("FILE"),
		RunE: v.run(func(cmd *cobra.Command, args []string) error {
			result, err := install.SupportBundle(cmd.Context(), v.folder(), args[0], v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, result, func(w io.Writer) {
				fmt.Fprintf(w, "%s\n%d parts\n", result.File, result.Parts)
				for _, missing := range result.Missing {
					fmt.Fprintf(w, "! %s\n", missing)
				}
			})
		}),
	}
}
