package main

import (
	"context"
	"fmt"
	"time"

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
		Short: "Show the keys that launches are and were signed with, or rotate them",
		Long: `Show the key that this mothership signs launches with, and those before it. Tell
its ID to whoever takes a launch in on a machine that does not reach the
mothership, by another way than the launch travels: algo-install asks for it with
--trust.`,
		Example: "  mothership signing-key\n  mothership signing-key -o json\n  mothership signing-key rotate",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				key, err := s.SigningKey(ctx)
				if err != nil {
					return err
				}
				return printSigningKey(std, output, key)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	cmd.AddCommand(newSigningKeyRotateCommand(std))
	return cmd
}

// defaultKeyGrace is how long launches of an earlier key are accepted when nobody says.
const defaultKeyGrace = 90 * 24 * time.Hour

func newSigningKeyRotateCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	var grace time.Duration
	var revoke bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Make a new signing key, which the one before leads installers to",
		Long: `Make a new key to sign launches with. The one before signs it, once, and is
forgotten: an installer that trusts it goes on with the new one by itself, online
and air-gapped, however many rotations it slept through (up to 64). Servers sign
with the new key at once. What the one before has signed is accepted for --grace.

When somebody else may have the key, add --revoke: then nothing that it or an
earlier one has signed is accepted, and nobody but a person leads an installer on:
each machine needs --trust with the new key's ID, once.`,
		Example: "  mothership signing-key rotate\n  mothership signing-key rotate --grace 720h\n  mothership signing-key rotate --revoke",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if revoke && cmd.Flags().Changed("grace") {
				return command.UsageError{Err: fmt.Errorf("--revoke leaves no --grace: nothing that a revoked key signed is accepted; give one of the two")}
			}
			return onControl(cmd, &c, func(ctx context.Context, s *control.Service) error {
				key, err := s.RotateSigningKey(ctx, control.Shell(), grace, revoke)
				if err != nil {
					return err
				}
				before := key.Earlier[0]
				if revoke {
					_, err = fmt.Fprintf(std.Err, "key %s and those before it are revoked: every machine that takes launches in needs --trust %s once\n", before.ID, key.ID)
				} else {
					_, err = fmt.Fprintf(std.Err, "launches are signed with %s from now on, which %s leads installers to; what that signed is accepted until %s\n", key.ID, before.ID, before.AcceptedUntil.UTC().Format(time.DateOnly))
				}
				if err != nil {
					return err
				}
				return printSigningKey(std, output, key)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	cmd.Flags().DurationVar(&grace, "grace", defaultKeyGrace, "accept launches that the key before has signed for this long, such as 720h")
	cmd.Flags().BoolVar(&revoke, "revoke", false, "somebody else may have the key: nothing that it signed is accepted")
	output.Add(cmd)
	return cmd
}

// shownKey is a signing key as -o json has it.
type shownKey struct {
	ID          string     `json:"id"`
	Fingerprint string     `json:"fingerprint"`
	PublicKey   string     `json:"public_key"`
	Since       *time.Time `json:"since,omitempty"`
	Earlier     []shownOld `json:"earlier"`
}

type shownOld struct {
	ID            string    `json:"id"`
	Fingerprint   string    `json:"fingerprint"`
	ReplacedAt    time.Time `json:"replaced_at"`
	ReplacedBy    string    `json:"replaced_by"`
	AcceptedUntil time.Time `json:"accepted_until"`
	Revoked       bool      `json:"revoked"`
}

func printSigningKey(std command.Streams, output command.Output, key control.SigningKey) error {
	shown := shownKey{ID: key.ID, Fingerprint: key.Fingerprint, PublicKey: key.PublicKey, Since: key.Since, Earlier: []shownOld{}}
	state := "in force"
	if key.Since != nil {
		state += " since " + key.Since.UTC().Format(time.DateOnly)
	}
	rows := [][]string{{key.ID, key.Fingerprint, state}}
	for _, e := range key.Earlier {
		shown.Earlier = append(shown.Earlier, shownOld(e))
		state := "accepted until " + e.AcceptedUntil.UTC().Format(time.DateOnly)
		if e.Revoked {
			state = "revoked"
		}
		rows = append(rows, []string{e.ID, e.Fingerprint, state})
	}
	return output.Print(std, shown, []string{"ID", "FINGERPRINT", "STATE"}, rows)
}
