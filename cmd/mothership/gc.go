package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/serve"
	"github.com/constellation-serving/constellation/internal/space"
	"github.com/constellation-serving/constellation/web/component"
)

// newGCCommand frees what nothing needs of the registry's storage.
func newGCCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var output command.Output
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Free what no version, launch or referrer needs of the registry's storage",
		Long: `Free what no version, launch or referrer needs of the registry's storage, while
the server runs or not: pushes and pulls go on. The server does this by itself, by
its --gc-schedule.

What somebody asked for within the grace stays: a push that is under way relies on
it. A shorter grace is safe too, but a push may then be told to send a layer again.
It may be stopped at any moment, and run again.`,
		Example: "  mothership gc --dry-run\n  mothership gc --gc-grace 1h\n  mothership gc -o json",
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onStorage(cmd, &c, func(ctx context.Context, s *control.Service) error {
				o := c.Collection()
				o.DryRun, o.Wait = dryRun, true
				o.Progress = func(done space.Collected) {
					if !dryRun {
						fmt.Fprintf(std.Err, "freed %s of %s\n", component.Bytes(done.Bytes), component.Bytes(done.Expected))
					}
				}
				done, err := s.Collect(ctx, control.Shell(), o)
				if err != nil {
					return err
				}
				return printCollected(std, &output, done, dryRun)
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	c.AddStorageFlags(cmd.Flags())
	c.AddSpaceFlags(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would go, and remove nothing")
	output.Add(cmd)
	return cmd
}

// collectedOutput is what -o json prints.
type collectedOutput struct {
	DryRun       bool             `json:"dry_run"`
	Repositories []spaceUseOutput `json:"repositories"`
	FreedBytes   int64            `json:"freed_bytes"`
	Blobs        int64            `json:"blobs"`
	Manifests    int64            `json:"manifests"`
	Versions     int              `json:"versions"`
	Uploads      int64            `json:"uploads"`
	UploadBytes  int64            `json:"upload_bytes"`
}

type spaceUseOutput struct {
	Repository string `json:"repository"`
	Blobs      int64  `json:"blobs"`
	Bytes      int64  `json:"bytes"`
}

func printCollected(std command.Streams, output *command.Output, done *space.Collected, dryRun bool) error {
	value := collectedOutput{
		DryRun: dryRun, Repositories: []spaceUseOutput{}, FreedBytes: done.Bytes, Blobs: done.Blobs, Manifests: done.Manifests,
		Versions: done.Retired, Uploads: done.Uploads.Blobs, UploadBytes: done.Uploads.Bytes,
	}
	rows := [][]string{}
	var blobs int64
	for _, r := range done.Repositories {
		value.Repositories = append(value.Repositories, spaceUseOutput{r.Name, r.Blobs, r.Bytes})
		name := r.Name
		if name == "" {
			name = "(in no repository)"
		}
		rows = append(rows, []string{name, strconv.FormatInt(r.Blobs, 10), component.Bytes(r.Bytes)})
		blobs += r.Blobs
	}
	if dryRun {
		value.FreedBytes, value.Blobs = done.Expected, blobs
	}
	if output.JSON() {
		return output.Print(std, value, nil, nil)
	}
	if len(rows) > 0 {
		if err := output.Print(std, nil, []string{"REPOSITORY", "BLOBS", "FREES"}, rows); err != nil {
			return err
		}
	}
	freed, removed := "freed", "removed"
	if dryRun {
		freed, removed = "would free", "would remove"
	}
	fmt.Fprintf(std.Out, "%s %s\n", freed, component.Bytes(value.FreedBytes))
	if done.Retired > 0 {
		fmt.Fprintf(std.Out, "%s %s by retention rules\n", removed, component.Count(done.Retired, "version"))
	}
	if done.Uploads.Blobs > 0 {
		fmt.Fprintf(std.Out, "%s %s that were left, %s\n", removed, component.Count(done.Uploads.Blobs, "upload"), component.Bytes(done.Uploads.Bytes))
	}
	return nil
}

// onStorage reads the settings and runs do with the use cases on the migrated database
// and the registry's storage.
func onStorage(cmd *cobra.Command, c *serve.Config, do func(context.Context, *control.Service) error) error {
	return onRegistry(cmd, c, func(ctx context.Context, s *control.Service, _ *registry.Storage) error { return do(ctx, s) })
}

// onRegistry is onStorage for what reads the storage itself too.
func onRegistry(cmd *cobra.Command, c *serve.Config, do func(context.Context, *control.Service, *registry.Storage) error) error {
	if err := c.Load(cmd); err != nil {
		return err
	}
	ctx := cmd.Context()
	storage, err := serve.OpenStorage(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func(s *registry.Storage) { _ = s.Close() }(storage) // nothing is under way
	return withService(cmd, c, control.Options{Store: storage, Content: storage}, func(s *control.Service) error { return do(ctx, s, storage) })
}
