package installer

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
)

// NewHelpCommand is cobra's own, but for the installer's verbs, and for an
// unknown command, which is a usage error.
func NewHelpCommand(std command.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show what a command does",
		RunE: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if satellite := installSatellite(found); err == nil && len(rest) > 0 && satellite != nil {
				return helpLaunch(satellite, std, rest, nil)
			}
			if err != nil || len(rest) > 0 {
				return command.UsageError{Err: fmt.Errorf("there is no command %q to help with; see '%s --help'", strings.Join(args, " "), cmd.Root().CommandPath())}
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}
