package installer

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

func (v verbs) verify() *cobra.Command {
	var trusted string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the signature and every file of the launch",
		Long: `Check the mothership's signature and the hash of every file that it covers, and
say which files it does not cover.

A launch that was carried here is signed with a key that this machine may not
know: then ask an admin of the mothership for its key's ID, by another way than
the launch came, and give it with --trust, once. It is on the panel's System
page, printed by 'mothership signing-key', and in GET /v1/system.`,
		Example: "  " + launchPath + " verify\n  " + launchPath + " verify --trust 0123456789abcdef",
		Args:    command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Verify(cmd.Context(), v.folder(), trusted, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.Out, r, func(w io.Writer) {
				fmt.Fprintf(w, "%d files, %s, are as the mothership's key %s signed them\n", r.Files, progress.Size(r.Bytes), r.KeyID)
				if len(r.Unsigned) > 0 {
					fmt.Fprintf(w, "not signed: %s\n", strings.Join(r.Unsigned, ", "))
				}
				if r.Configured == "not taken" {
					fmt.Fprintf(w, "config.yaml was not set on this machine and does not count: 'configure' shows it, 'configure --with-config' takes it\n")
				}
			})
		}),
	}
	cmd.Flags().StringVar(&trusted, "trust", "", trustAbout)
	return cmd
}
