package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) status() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "Show what runs on the cluster",
		Example: "  " + launchPath + " status -o json",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			s, err := install.Status(cmd.Context(), v.folder())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, s, func(w io.Writer) {
				fmt.Fprintf(w, "satellite %s in namespace %s: version %d downloaded, %d installed\n", s.Satellite, s.Namespace, s.Downloaded, s.Installed)
				if s.Wanted != s.Installed {
					fmt.Fprintf(w, "the deploy of version %d is not done\n", s.Wanted)
				}
				for _, h := range s.Deployments {
					fmt.Fprintf(w, "  %s\n", h)
				}
			})
		}),
	}
}
