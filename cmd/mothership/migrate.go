package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/serve"
)

func newMigrateCommand(std command.Streams) *cobra.Command {
	return command.Subcommands(&cobra.Command{
		Use:   "migrate",
		Short: "Bring the database schema up to date, or say how far it is",
	}, newMigrateUpCommand(std), newMigrateStatusCommand(std))
}

func newMigrateUpCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Apply the migrations that are pending; serve does this by itself",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onDatabase(cmd, &c, func(ctx context.Context, url string) error {
				before, err := postgres.Status(ctx, url)
				if err != nil {
					return err
				}
				if err := postgres.Migrate(ctx, url); err != nil {
					return err
				}
				if len(before.Pending) == 0 {
					_, err = fmt.Fprintf(std.Out, "up to date at version %d\n", before.Target)
					return err
				}
				_, err = fmt.Fprintf(std.Out, "migrated from version %d to %d\n", before.Current, before.Target)
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	return cmd
}

func newMigrateStatusCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how far the schema is and which migrations are pending",
		Args:  command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onDatabase(cmd, &c, func(ctx context.Context, url string) error {
				status, err := postgres.Status(ctx, url)
				if err != nil {
					return err
				}
				if output.JSON() {
					pending := append([]string{}, status.Pending...)
					return output.Print(std, map[string]any{"current": status.Current, "target": status.Target, "pending": pending}, nil, nil)
				}
				fmt.Fprintf(std.Out, "version %d of %d\n", status.Current, status.Target)
				for _, file := range status.Pending {
					fmt.Fprintf(std.Out, "pending  %s\n", file)
				}
				return nil
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	output.Add(cmd)
	return cmd
}

// onDatabase reads the settings and runs do on the database, not migrated.
func onDatabase(cmd *cobra.Command, c *serve.Config, do func(ctx context.Context, url string) error) error {
	if err := c.Load(cmd); err != nil {
		return err
	}
	return withDatabase(cmd, c, func(url string) error { return do(cmd.Context(), url) })
}
