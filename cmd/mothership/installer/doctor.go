package installer

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/kube/preflight"
)

func (v verbs) doctor() *cobra.Command {
	var ignored []string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check registry and cluster, and change nothing",
		Long: `Check all that would stop a deploy, at once, and change nothing: the launch, the
registry and its login, the cluster's version, every permission, the namespace,
the ingress class, LimitRanges and quotas, the size of what is written, the
platform of the images and the room for pods. Each problem says what mends it.
Exit code 4 says that there are problems.`,
		Example: "  " + launchPath + " doctor\n  " + launchPath + " doctor --ignore 'room for pods'",
		Args:    command.NoArguments,
		RunE: v.run(func(cmd *cobra.Command, _ []string) error {
			checks, err := install.Doctor(cmd.Context(), v.folder(), ignored, v.progress())
			if len(checks) > 0 {
				if printErr := v.flags.print(v.std.Out, checks, func(w io.Writer) { printChecks(w, checks) }); printErr != nil {
					return printErr
				}
			}
			return err
		}),
	}
	cmd.Flags().StringSliceVar(&ignored, "ignore", nil, "checks whose problems are warnings, such as 'room for pods'")
	return cmd
}

func printChecks(w io.Writer, checks []preflight.Check) {
	marks := map[preflight.State]string{preflight.OK: "✓", preflight.Warning: "!", preflight.Unknown: "?", preflight.Problem: "✗"}
	for _, c := range checks {
		fmt.Fprintf(w, "%s %s\t%s\n", marks[c.State], c.Name, c.Message)
	}
}
