package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/components"
)

func buildCommand() *cobra.Command {
	var versions []string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Compile the cluster's programs into the cache and print their paths",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, say := components.Cluster(), progress(cmd)
			for _, v := range versions {
				c, err := components.APIServer(v)
				if err != nil {
					return err
				}
				list = append(list, c)
			}
			for _, c := range list {
				path, err := components.Build(cmd.Context(), c, say)
				if err != nil {
					return err
				}
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), path); err != nil {
					return fmt.Errorf("print path: %w", err)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&versions, "apiserver", nil, "also compile this kube-apiserver `VERSION`: 1.32.2")
	return cmd
}

// progress writes lines with the time since it was made to standard error.
func progress(cmd *cobra.Command) func(string, ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}
