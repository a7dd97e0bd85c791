package serve

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/private"
)

// OpenDatabase returns the URL of a running database: the configured one, or a
// private one. The function ends the private one.
func OpenDatabase(ctx context.Context, c *Config, mode private.Mode, log *slog.Logger) (string, *private.Server, error) {
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

// CommandSealer opens the key that seals secrets in a private database. A command
// on a database elsewhere has no data dir, and seals nothing.
func CommandSealer(ctx context.Context, c *Config, db *postgres.DB) (*auth.Sealer, error) {
	if sealer, err := givenSealer(ctx, c); sealer != nil || err != nil {
		return sealer, err
	}
	if c.databaseURL != "" {
		return nil, nil
	}
	return openSealer(ctx, c, db)
}

// openSealer reads the key file, and makes it only for a database without
// secrets: those of another key would be lost.
func openSealer(ctx context.Context, c *Config, db *postgres.DB) (*auth.Sealer, error) {
	if sealer, err := givenSealer(ctx, c); sealer != nil || err != nil {
		return sealer, err
	}
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
func wrongKeyFile(c *Config, err error) error {
	if !errors.Is(err, auth.ErrOtherKey) {
		return err
	}
	return constellation.Wrap(err, constellation.KindConflict,
		"%s belongs to another database: it does not open this one's secrets; restore the right one from a backup, or take that of another server of this database", c.keyPlace())
}

// keyPlace says where the secret key comes from.
func (c *Config) keyPlace() string {
	switch {
	case c.secretKeyFile != "":
		return "the key file " + c.secretKeyFile
	case c.secretKeyCommand != "":
		return "the secret key of --secret-key-command"
	case c.secretKey != "":
		return "the secret key of CONSTELLATION_SECRET_KEY"
	}
	return "the key file " + keyFile(c)
}

func keyFile(c *Config) string { return filepath.Join(c.dataDir, "secret.key") }
