package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/command"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/serve"
)

// newSeedCommand fills a data dir with made-up satellites: for measurements,
// so it is hidden.
func newSeedCommand(std command.Streams) *cobra.Command {
	var c serve.Config
	var satellites, launches, reports int
	var tokens string
	cmd := &cobra.Command{
		Use:     "seed",
		Short:   "Fill an empty data dir with made-up satellites and launches, to measure with",
		Example: "  mothership seed --data-dir /tmp/large --satellites 100000 --launches 300000 --tokens /tmp/tokens",
		Hidden:  true,
		Args:    command.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return onNewStore(cmd, &c, func(ctx context.Context, s *control.Service, store *registry.Storage) error {
				begun := time.Now()
				err := writeTokens(tokens, func(out io.Writer) error {
					return s.Seed(ctx, store, satellites, launches, reports, func(satelliteID, launchID, token string) error {
						_, err := fmt.Fprintln(out, satelliteID, launchID, token)
						return err
					})
				})
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(std.Err, "made %d satellites and %d launches in %s\n", satellites, launches, time.Since(begun).Round(time.Millisecond))
				return err
			})
		},
	}
	c.AddDatabaseFlags(cmd.Flags())
	c.AddStorageFlags(cmd.Flags())
	cmd.Flags().IntVar(&satellites, "satellites", 1000, "how many satellites to make")
	cmd.Flags().IntVar(&launches, "launches", 3000, "how many launches to make")
	cmd.Flags().IntVar(&reports, "reports", 0, "how many of the launches have reported")
	cmd.Flags().StringVar(&tokens, "tokens", "", "write satellite, launch and token of each launch to this file")
	return cmd
}

// onNewStore runs do with a store that may not be there yet.
func onNewStore(cmd *cobra.Command, c *serve.Config, do func(context.Context, *control.Service, *registry.Storage) error) error {
	return onControl(cmd, c, func(ctx context.Context, s *control.Service) error {
		config, err := c.StorageConfig()
		if err != nil {
			return err
		}
		store, err := registry.OpenStorage(ctx, config, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		defer func() { _ = store.Close() }() // nothing is under way
		return do(ctx, s, store)
	})
}

// writeTokens runs write with the file, which nobody else may read; "" is no
// file.
func writeTokens(path string, write func(io.Writer) error) (err error) {
	if path == "" {
		return write(io.Discard)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // where the user says
	if err != nil {
		return fmt.Errorf("write the tokens: %w", err)
	}
	out := bufio.NewWriter(file)
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := write(out); err != nil {
		return err
	}
	return out.Flush()
}
