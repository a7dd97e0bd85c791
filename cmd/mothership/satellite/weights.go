package satellite

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/satellite/unpack"
)

const weightsHelp = `Bring a model's weights out of the cluster's registry into a folder.

It is what an init container of an algorithm runs where the cluster mounts no
images. The folder gets the hexadecimal digits of the digest as its name, and
only once every layer is there and right: a folder of that name is whole.`

// newSatelliteWeightsCommand makes the folder of weights that an algorithm reads.
func newSatelliteWeightsCommand(std command.Streams) *cobra.Command {
	var o unpack.Options
	cmd := &cobra.Command{
		Use:   "weights --image REPOSITORY@DIGEST --into FOLDER",
		Short: "Bring a model's weights out of a registry into a folder",
		Long:  weightsHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.NoArgs(cmd, args); err != nil {
				return command.UsageError{Err: err}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = func(format string, args ...any) { _, _ = fmt.Fprintf(std.Err, format+"\n", args...) } // nobody left to tell
			return unpack.Weights(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Image, "image", "", "the weights in the registry, REPOSITORY@sha256:… (required)")
	flags.StringVar(&o.Folder, "into", "", "the folder in which theirs is made (required)")
	flags.Int64Var(&o.Budget.Bytes, "max-bytes", 0, "what they unpack to at most (required)")
	flags.IntVar(&o.Budget.Files, "max-files", 0, "how many files they have at most (required)")
	flags.StringVar(&o.Access.AuthFile, "auth-file", "", "a .dockerconfigjson with the registry's login")
	flags.StringVar(&o.Access.CAFile, "ca-file", "", "certificate authorities beside the system's, PEM")
	flags.BoolVar(&o.Access.Insecure, "insecure", false, "allow plain HTTP, or a certificate that nobody vouches for")
	for _, name := range []string{"image", "into", "max-bytes", "max-files"} {
		_ = cmd.MarkFlagRequired(name) // the flag is there
	}
	return cmd
}
