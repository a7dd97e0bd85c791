package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// openDatabase returns the URL of a running database: the configured one, or a
// private one. The function ends the private one.
func openDatabase(ctx context.Context, c *config, mode private.Mode, log *slog.Logger) (string, *private.Server, error) {
	if c.databaseURL != "" {
		return c.databaseURL, nil, nil
	}
	o := private.Options{Dir: c.dataDir, Mode: mode, Log: log}
	if c.postgresBinDir != "" {
		o.Finder = private.Finder{Path: c.postgresBinDir, Patterns: []string{}}
	}
	server, err := private.Open(ctx, o)
	if err != nil {
		return "", nil, err
	}
	return server.URL(), server, nil
}

// withDatabase runs do with the database's URL, for one short command, and
// ends what it started.
func withDatabase(cmd *cobra.Command, c *config, do func(url string) error) error {
	ctx := cmd.Context()
	url, server, err := openDatabase(ctx, c, private.ModeCommand, slog.New(&notices{out: cmd.ErrOrStderr()}))
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
func withControl(cmd *cobra.Command, c *config, do func(*control.Service) error) error {
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
		sealer, err := sealerFor(ctx, c, db)
		if err != nil {
			return err
		}
		return do(control.New(control.Options{DB: db, Sealer: sealer, Version: version}))
	})
}

// sealerFor opens the key that seals secrets in a private database. A command
// on a database elsewhere has no data dir, and seals nothing.
func sealerFor(ctx context.Context, c *config, db *postgres.DB) (*auth.Sealer, error) {
	if c.databaseURL != "" {
		return nil, nil
	}
	return openSealer(ctx, c, db)
}

// openSealer reads the key file, and makes it only for a database without
// secrets: those of another key would be lost.
func openSealer(ctx context.Context, c *config, db *postgres.DB) (*auth.Sealer, error) {
	sealer, err := auth.LoadSealer(keyFile(c))
	if !errors.Is(err, fs.ErrNotExist) {
		return sealer, err
	}
	sealed, err := db.HasSecrets(ctx)
	if err != nil {
		return nil, err
	}
	if sealed {
		return nil, constellation.Errorf(constellation.KindConflict,
			"the key file %s is missing, and this database has secrets that only it opens; restore it from a backup, or copy it from another server of this database", keyFile(c))
	}
	return auth.LoadOrCreateSealer(keyFile(c))
}

// wrongKeyFile returns an error that says so when err comes from a key file of another database.
func wrongKeyFile(c *config, err error) error {
	if !errors.Is(err, auth.ErrOtherKey) {
		return err
	}
	return constellation.Wrap(err, constellation.KindConflict,
		"the key file %s belongs to another database: it does not open this one's secrets; restore the right one from a backup, or copy it from another server of this database", keyFile(c))
}

func keyFile(c *config) string { return filepath.Join(c.dataDir, "secret.key") }

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

// readAll returns every item of a paged list.
func readAll[T any](list func(control.ListQuery) (control.Page[T], error)) ([]T, error) {
	items := []T{}
	q := control.ListQuery{Limit: 500}
	for {
		page, err := list(q)
		if err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.Marker == "" {
			return items, nil
		}
		if page.Marker == q.Marker {
			return nil, fmt.Errorf("list: the marker %q repeats", page.Marker)
		}
		q.Marker = page.Marker
	}
}
