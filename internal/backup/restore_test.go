package backup_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/storage"
)

// registry is a store that is only marked.
type registry struct{ owner string }

// Owner is part of backup.Registry.
func (r *registry) Owner(context.Context) (string, error) { return r.owner, nil }

// SetOwner is part of backup.Registry.
func (r *registry) SetOwner(_ context.Context, id string) error { r.owner = id; return nil }

// Relink is part of backup.Registry.
func (r *registry) Relink(context.Context, constellation.StoredRepository) error { return nil }

func restore(t *testing.T, target, url string, store storage.Location, change func(*backup.RestoreOptions)) (*backup.Restored, error) {
	t.Helper()
	o := backup.RestoreOptions{
		Target: parse(t, target), Store: store, By: "shell",
		Database: func(context.Context) (string, error) { return url, nil },
		Registry: func(context.Context) (backup.Registry, error) { return &registry{}, nil },
		Key: func([]byte) (backup.Key, error) {
			return backup.Key{Open: func(string, []byte) error { return nil }}, nil
		},
	}
	if change != nil {
		change(&o)
	}
	return backup.Restore(t.Context(), o)
}

// TestAPlaceThatIsNotEmptyIsRefused, a newer backup too, and one for which there is no
// room, before anything is written.
func TestAPlaceThatIsNotEmptyIsRefused(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	empty := postgrestest.EmptyURL(t)
	full := storage.FileLocation(t.TempDir())
	if err := os.MkdirAll(full.Dir()+"/docker/registry/v2/repositories/a/_layers", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full.Dir()+"/docker/registry/v2/repositories/a/_layers/x", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		url    string
		store  storage.Location
		change func(*backup.RestoreOptions)
		want   string
	}{
		"a database": {postgrestest.URL(t), storage.FileLocation(t.TempDir()), nil, "the database is not empty"},
		"a store":    {empty, full, nil, "is not empty"},
		"no room": {empty, storage.FileLocation(t.TempDir()), func(o *backup.RestoreOptions) {
			o.DataDir, o.Room = "/data", func(string) (uint64, error) { return 1, nil }
		}, "nothing was written"},
		"no such backup": {empty, storage.FileLocation(t.TempDir()), func(o *backup.RestoreOptions) { o.Point = "20000101T000000.000Z" }, "has no backup"},
		"another's store": {empty, storage.FileLocation(t.TempDir()), func(o *backup.RestoreOptions) {
			o.Registry = func(context.Context) (backup.Registry, error) { return &registry{owner: "somebody"}, nil }
		}, "belongs to another mothership"},
	} {
		if _, err := restore(t, dir, try.url, try.store, try.change); err == nil || !strings.Contains(err.Error(), try.want) {
			t.Errorf("restore onto %s = %v, want %q", name, err, try.want)
		}
	}
	if _, err := restore(t, dir, empty, storage.FileLocation(t.TempDir()), nil); err != nil {
		t.Errorf("restore onto the place that was refused before = %v", err)
	}
}

// TestARestoreThatWasKilledGoesOn, wherever that was.
func TestARestoreThatWasKilledGoesOn(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	id, err := m.db.Mothership(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, stop := range []string{"begun", "migrated", "loaded", "linked"} {
		url, store := postgrestest.EmptyURL(t), storage.FileLocation(t.TempDir())
		db, err := postgres.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		switch stop {
		case "begun", "migrated":
			if err := db.BeginRestore(t.Context(), "another"); err != nil {
				t.Fatal(err)
			}
			if stop == "migrated" {
				if err := postgres.MigrateTo(t.Context(), url, 61); err != nil {
					t.Fatal(err)
				}
			}
		default:
			failing := func(o *backup.RestoreOptions) {
				o.Registry = func(context.Context) (backup.Registry, error) {
					return &failingRegistry{registry{owner: id.ID}}, nil
				}
			}
			if _, err := restore(t, dir, url, store, failing); err == nil {
				t.Fatal("the restore did not fail")
			}
		}
		if err := postgres.Migrate(t.Context(), url); constellation.KindOf(err) != constellation.KindConflict {
			t.Errorf("a server on a database that is being restored: %v", err)
		}
		done, err := restore(t, dir, url, store, func(o *backup.RestoreOptions) {
			o.Registry = func(context.Context) (backup.Registry, error) { return &registry{owner: id.ID}, nil }
		})
		if err != nil {
			t.Errorf("restored again after it was killed when %s: %v", stop, err)
		} else if done.DatabaseWasDone != (stop == "loaded" || stop == "linked") {
			t.Errorf("restored again after it was killed when %s: the database was done = %v", stop, done.DatabaseWasDone)
		}
		if err := postgres.Migrate(t.Context(), url); err != nil {
			t.Errorf("a server on what was restored: %v", err)
		}
		blobs, err := db.StoredBlobs(t.Context())
		if err != nil || len(blobs) != 2 {
			t.Errorf("blobs of the restored database = %v, %v", blobs, err)
		}
		db.Close()
	}
}

// failingRegistry is killed when it is written to.
type failingRegistry struct{ registry }

// Relink is part of backup.Registry.
func (*failingRegistry) Relink(context.Context, constellation.StoredRepository) error {
	return errors.New("killed")
}
