package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/serve"
)

func newSecretKeyCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "secret-key",
		Short: "Rotate the key that seals secrets in the database",
	}, newSecretKeyRotateCommand(std))
}

// settled is how long a rotation waits for servers that sealed something with the
// older key just before they saw the new one.
const settled = 5 * time.Second

func newSecretKeyRotateCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new secret key, and seal every secret anew with it",
		Long: `Make a new secret key, seal every secret in the database anew with it, and drop
the older key once nothing is sealed with it any more. Servers go on meanwhile:
they read the key file again when it changes, and open what either key sealed.
When it was ended on the way, run it again.

Where servers have the key from elsewhere, or each a file of its own, give all of
them both keys first, the new one on a first line and the older one below; then
run this with the same, and take the older one away when it says so.`,
		Args: command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				file := serve.RotatedKeyFile(&c)
				if file != "" {
					if err := auth.AddKey(file); err != nil {
						return constellation.Wrap(err, constellation.KindConflict, "no new key can be written to %s: put one on a first line there, above the one that it has, and run this again", file)
					}
				}
				n, err := reseal(ctx, s)
				if err != nil {
					return err
				}
				if file == "" {
					_, err = fmt.Fprintf(std.Err, "sealed %d secrets anew; nothing is sealed with an older key any more: take those away from where they come from\n", n)
					return err
				}
				if err := auth.DropKeys(file); err != nil {
					return constellation.Wrap(err, constellation.KindConflict, "nothing is sealed with an older key any more, and %s cannot be written: leave only the first line there", file)
				}
				_, err = fmt.Fprintf(std.Err, "sealed %d secrets anew; nothing is sealed with the older key any more, and %s has the new one alone: back it up\n", n, file)
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

// reseal seals anew until nothing was left to do twice, some time apart.
func reseal(ctx context.Context, s *control.Service) (total int, err error) {
	for clean := 0; clean < 2; {
		n, err := s.Reseal(ctx, control.Shell())
		if total += n; err != nil {
			return total, err
		}
		if clean++; n > 0 {
			clean = 0
		}
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(settled):
		}
	}
	return total, nil
}
