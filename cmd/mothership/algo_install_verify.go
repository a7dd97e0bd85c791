package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) verify() *cobra.Command {
	var trusted string
	cmd := &cobra.Command{
		Use:     "verify",
		Short:   "Check the signature and every file of the launch",
		Example: "  " + launchPath + " verify",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Verify(cmd.Context(), v.folder(), trusted, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) {
				fmt.Fprintf(w, "%d files, %s, are as the mothership's key %s signed them\n", r.Files, install.Size(r.Bytes), r.KeyID)
			})
		}),
	}
	cmd.Flags().StringVar(&trusted, "trust", "", "id of a new key of the mothership that its admin confirmed")
	return cmd
}
