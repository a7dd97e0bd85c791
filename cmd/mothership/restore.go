package main

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/web/component"
)

func newRestoreCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var point string
	var keepStore bool
	cmd := &cobra.Command{
		Use:   "restore TARGET",
		Short: "Restore a backup onto an empty place",
		Long: `Restore a backup of TARGET onto an empty place: another data dir or database, and
another store of images, of whatever kind, as the settings of the server name them.
A place that is not empty is refused. What is wrong with the backup, the secret key
or the room on the disk is told before anything is written.

The secret key of the mothership that was backed up is needed: put its file to
DATA-DIR/secret.key first, or give --secret-key-file, unless the backup has it.

It may be killed at any moment: run the same again, and it goes on. Everybody signs
in again afterwards; API keys and the tokens of satellites go on as they are.`,
		Example: "  mothership restore /mnt/backups/constellation --data-dir /srv/constellation\n  mothership restore constellation.tar --storage 's3://images?region=eu-central-1'\n" +
			"  mothership restore /mnt/backups/constellation --point 20261130T020000.000Z",
		Args: command.OneArgument("TARGET"),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			if err := c.Load(cmd); err != nil {
				return err
			}
			progress, stop := backupProgress(std)
			done, err := serve.Restore(cmd.Context(), &c, backup.RestoreOptions{Target: target, Point: point, KeepStore: keepStore, Progress: progress},
				slog.New(&notices{out: cmd.ErrOrStderr()}))
			stop()
			if err != nil {
				return err
			}
			return printRestored(std, done)
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	c.AddStorageFlags(cmd.Flags())
	cmd.Flags().StringVar(&point, "point", "", "restore this backup, by the name that mothership backup list has, rather than the newest")
	cmd.Flags().BoolVar(&keepStore, "keep-store", false, "restore the database beside a store that has this mothership's own images, and copy what it lacks")
	return cmd
}

func printRestored(std command.Streams, r *backup.Restored) error {
	fmt.Fprintf(std.Out, "restored %s: %d tables with %d rows, %s in %s, in %s\n", r.Manifest.Point, len(r.Manifest.Tables), r.Rows,
		component.Count(int64(len(r.Manifest.Blobs)), "blob"), component.Count(int64(r.Repositories), "repository"), r.Took.Round(10*time.Millisecond))
	if r.KeyKept {
		fmt.Fprintln(std.Out, "the secret key came with the backup and is in the data dir")
	}
	if r.SchemaNow > r.SchemaBefore {
		fmt.Fprintf(std.Out, "it was of the mothership %s: its schema was brought from %d to %d\n", r.Manifest.Program, r.SchemaBefore, r.SchemaNow)
	}
	if r.DroppedJobs > 0 {
		fmt.Fprintf(std.Out, "%s that waited when the backup was taken were dropped, so that nothing is done twice\n", component.Count(r.DroppedJobs, "job"))
	}
	fmt.Fprintln(std.Out, "start the server with the same settings; API keys that were revoked since the backup count again, so look at them")
	if len(r.Faults) == 0 {
		return nil
	}
	for _, f := range r.Faults {
		fmt.Fprintf(std.Err, "not restored: %s: %s\n", f.File, f.Problem)
	}
	fmt.Fprintln(std.Err, "mothership storage verify names the versions and launches that need them")
	return found{errors.New("blobs are missing")}
}
