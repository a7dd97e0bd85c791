package serve

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/internal/auth"
	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres/private"
	"github.com/constellation-serving/constellation/internal/registry"
)

// RestoredJobs are the kinds of jobs that go on in a restored mothership: what they
// have to do is there still, and doing it twice changes nothing.
var RestoredJobs = []string{"import_version"}

// Restore restores a backup to where the settings say.
func Restore(ctx context.Context, c *Config, o backup.RestoreOptions, log *slog.Logger) (_ *backup.Restored, err error) {
	content, err := c.StorageConfig()
	if err != nil {
		return nil, err
	}
	var server *private.Server
	defer func() {
		if server != nil {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
			defer cancel()
			err = errors.Join(err, server.Stop(stopping))
		}
	}()
	o.Store, o.Room, o.Jobs, o.By = content.Location, Room, RestoredJobs, constellation.ActorShell
	if c.databaseURL == "" {
		o.DataDir = c.dataDir
	}
	o.Key = func(kept []byte) (backup.Key, error) { return restoreKey(ctx, c, kept) }
	o.Database = func(ctx context.Context) (url string, err error) {
		if err := makeDataDir(c.dataDir); err != nil {
			return "", err
		}
		url, server, err = OpenDatabase(ctx, c, private.ModeCommand, log)
		return url, err
	}
	o.Registry = func(ctx context.Context) (backup.Registry, error) {
		return registry.OpenStorage(ctx, content, quiet())
	}
	return backup.Restore(ctx, o)
}

// restoreKey returns the secret key at hand, else the one that the backup has.
func restoreKey(ctx context.Context, c *Config, kept []byte) (backup.Key, error) {
	place := c.keyPlace()
	sealer, err := givenSealer(ctx, c)
	if err != nil {
		return backup.Key{}, err
	}
	var key backup.Key
	if sealer == nil {
		sealer, err = auth.LoadSealer(keyFile(c))
		switch {
		case errors.Is(err, fs.ErrNotExist) && kept == nil:
			return key, constellation.Errorf(constellation.KindNotFound,
				"the backup's secrets are sealed and %s is not there: put the secret key of the mothership that was backed up there, or give --secret-key-file; nothing was written", place)
		case errors.Is(err, fs.ErrNotExist):
			place = "the secret key in the backup"
			key.Keep = func() error { return keepKey(keyFile(c), kept) }
			sealer, err = auth.ParseSealer(string(kept))
		}
		if err != nil {
			return key, err
		}
	}
	key.Open = func(name string, sealed []byte) error {
		_, err := sealer.Open(name, sealed)
		if errors.Is(err, auth.ErrOtherKey) {
			return constellation.Wrap(err, constellation.KindConflict, "%s is of another mothership: it does not open the backup's secrets; give that of the mothership that was backed up. Nothing was written", place)
		}
		return err
	}
	return key, nil
}

// keepKey writes a key file that is not there.
func keepKey(path string, text []byte) error {
	if err := makeDataDir(filepath.Dir(path)); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // in the data dir
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// Room returns how many bytes are free where a folder is, or will be.
func Room(dir string) (uint64, error) {
	for {
		var stat syscall.Statfs_t
		err := syscall.Statfs(dir, &stat)
		if err == nil {
			return stat.Bavail * uint64(stat.Bsize), nil //nolint:gosec,unconvert // it differs by system
		}
		parent := filepath.Dir(dir)
		if !errors.Is(err, fs.ErrNotExist) || parent == dir {
			return 0, constellation.Wrap(err, constellation.KindUnavailable, "how much is free at %s cannot be told", dir)
		}
		dir = parent
	}
}
