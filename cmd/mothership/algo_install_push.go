package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/install"
)

func (v verbs) push() *cobra.Command {
	return &cobra.Command{
		Use:     "push",
		Short:   "Push the launch's images to the configured registry",
		Long:    "Push the launch's images, digests unchanged. The login is that of 'docker login'.",
		Example: "  docker login registry.example.com:5000\n  " + launchPath + " push",
		Args:    noArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			r, err := install.Push(cmd.Context(), v.folder(), v.progress())
			if err != nil {
				return err
			}
			return v.flags.print(v.std.out, r, func(w io.Writer) {
				fmt.Fprintf(w, "%d of %d images pushed to %s; the others were there\n", r.Pushed, len(r.Images), r.Registry)
			})
		}),
	}
}
