package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/serve"
)

// withDatabase runs do with the database's URL, for one short command, and
// ends what it started.
func withDatabase(cmd *cobra.Command, c *serve.Config, do func(url string) error) error {
	ctx := cmd.Context()
	url, server, err := serve.OpenDatabase(ctx, c, private.ModeCommand, slog.New(&notices{out: cmd.ErrOrStderr()}))
	if err != nil {
		return err
	}
	err = do(url)
	if server == nil {
		return err
	}
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(err, server.Stop(stopCtx))
}

// withControl runs do with the use cases on the migrated database.
func withControl(cmd *cobra.Command, c *serve.Config, do func(*control.Service) error) error {
	return withService(cmd, c, control.Options{}, do)
}

// withService is withControl, with more options than the database.
func withService(cmd *cobra.Command, c *serve.Config, o control.Options, do func(*control.Service) error) error {
	return withMigrated(cmd, c, func(db *postgres.DB) error {
		sealer, err := serve.CommandSealer(cmd.Context(), c, db)
		if err != nil {
			return err
		}
		o.DB, o.Sealer, o.Version = db, sealer, version
		return do(control.New(o))
	})
}

// withMigrated runs do on the database, once it has this program's schema.
func withMigrated(cmd *cobra.Command, c *serve.Config, do func(*postgres.DB) error) error {
	ctx := cmd.Context()
	return withDatabase(cmd, c, func(url string) error {
		if err := postgres.Migrate(ctx, url); err != nil {
			return err
		}
		db, err := postgres.Open(ctx, url)
		if err != nil {
			return err
		}
		defer db.Close()
		return do(db)
	})
}

// notices shows a short command's user what takes its time: messages alone,
// without the rest of a log.
type notices struct{ out io.Writer }

// Enabled is part of slog.Handler.
func (n *notices) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle is part of slog.Handler.
func (n *notices) Handle(_ context.Context, r slog.Record) error {
	_, err := fmt.Fprintln(n.out, r.Message)
	return err
}

// WithAttrs is part of slog.Handler.
func (n *notices) WithAttrs([]slog.Attr) slog.Handler { return n }

// WithGroup is part of slog.Handler.
func (n *notices) WithGroup(string) slog.Handler { return n }
