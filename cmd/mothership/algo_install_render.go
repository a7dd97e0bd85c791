package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) render() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:     "render",
		Short:   "Write the manifests as files, and apply nothing",
		Long:    "Write the manifests into the launch's folder rendered/. They hold the launch's\nsecrets.",
		Example: "  " + launchPath + " render --offline",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Render(cmd.Context(), v.folder(), offline, v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) { fmt.Fprintln(w, strings.Join(r.Files, "\n")) })
		}),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "for a current Kubernetes, without asking the cluster")
	return cmd
}
