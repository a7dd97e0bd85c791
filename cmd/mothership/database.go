package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// openDatabase gives the URL of a running database: the configured one, or a
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
func withDatabase(ctx context.Context, c *config, do func(url string) error) error {
	url, server, err := openDatabase(ctx, c, private.ModeCommand, slog.New(slog.DiscardHandler))
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
func withControl(ctx context.Context, c *config, do func(*control.Service) error) error {
	return withDatabase(ctx, c, func(url string) error {
		if err := postgres.Migrate(ctx, url); err != nil {
			return err
		}
		db, err := postgres.Open(ctx, url)
		if err != nil {
			return err
		}
		defer db.Close()
		sealer, err := sealerFor(c)
		if err != nil {
			return err
		}
		return do(control.New(control.Options{DB: db, Sealer: sealer, Version: version}))
	})
}

// sealerFor opens the key that seals secrets in a private database. A command
// on a database elsewhere has no data dir, and seals nothing.
func sealerFor(c *config) (*auth.Sealer, error) {
	if c.databaseURL != "" {
		return nil, nil
	}
	return auth.LoadOrCreateSealer(keyFile(c))
}

func keyFile(c *config) string { return filepath.Join(c.dataDir, "secret.key") }

// readAll gives every item of a paged list.
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
