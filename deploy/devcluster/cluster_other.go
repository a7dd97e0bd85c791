//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// clusterCommands say, where a cluster cannot run, what to do instead.
func clusterCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, name := range []string{"up", "down", "status", "apiserver"} {
		commands = append(commands, &cobra.Command{
			Use: name, Short: "Needs Linux and root", DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return errors.New("devcluster needs Linux and root: set KUBECONFIG to a cluster you have instead")
			},
		})
	}
	return commands
}
