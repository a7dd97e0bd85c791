package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/imagepush"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// newImageCommand is about the mothership's own image.
func newImageCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "image",
		Short: "The mothership's own image, to run it in containers",
	}, newImagePushCommand(std))
}

func newImagePushCommand(std command.Streams) *cobra.Command {
	var output command.Output
	var insecure bool
	o := imagepush.Options{Version: version}
	cmd := &cobra.Command{
		Use:   "push REGISTRY/PATH[:TAG]",
		Short: "Make an image of this program and push it to a registry",
		Long: `Make an image of this program and push it to a registry, with no Docker. The image
has this program, also as algo-install, and this machine's certificate authorities; it
is for this machine's platform. The same program gives the same digest. Its tag is the
program's version when the reference has none.

The login is that of 'docker login'. The result is on standard output, what goes on
beside it on standard error.`,
		Example: "  mothership image push registry.example.com/constellation\n  mothership image push registry.example.com:5000/team/constellation:stable --ca-file ca.crt",
		Args:    command.OneArgument("the registry and the path to push to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Reference, o.Progress = args[0], progress.New(std.Err)
			if cmd.Flags().Changed("insecure") {
				o.Insecure = &insecure
			}
			pushed, err := imagepush.Push(cmd.Context(), o)
			if err != nil {
				return err
			}
			if pushed.There {
				fmt.Fprintf(std.Err, "%s is there already\n", pushed.Tag)
			}
			if output.JSON() {
				return output.Print(std, pushed, nil, nil)
			}
			_, err = io.WriteString(std.Out, pushed.Image+"\n")
			return err
		},
	}
	cmd.Flags().StringVar(&o.CABundle, "certificates", "", "put these certificate authorities into the image, a PEM file, in place of this machine's")
	cmd.Flags().StringVar(&o.CAFile, "ca-file", "", "trust this certificate authority when the registry is asked, a PEM file, besides the system's")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "speak plain HTTP with the registry, or do not check its certificate")
	output.Add(cmd)
	return cmd
}
