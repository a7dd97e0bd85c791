package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
)

// newSigningKeyCommand prints what an operator with no way to the mothership
// confirms with algo-install's --trust.
func newSigningKeyCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "signing-key",
		Short: "Show the ID of the key that launches are signed with",
		Long: `Show the key that this mothership signs launches with. Tell its ID to whoever
takes a launch in on a machine that does not reach the mothership, by another
way than the launch travels: algo-install asks for it with --trust.`,
		Example: "  mothership signing-key\n  mothership signing-key -o json",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				key, err := s.SigningKey(ctx)
				if err != nil {
					return err
				}
				value := map[string]string{"id": key.ID, "fingerprint": key.Fingerprint, "public_key": key.PublicKey}
				return output.Print(std, value, []string{"ID", "FINGERPRINT"}, [][]string{{key.ID, key.Fingerprint}})
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}
