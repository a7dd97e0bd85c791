package control_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/control"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/registry"
	"github.com/constellation-serving/constellation/internal/space"
)

// store opens the registry's storage in a folder.
func store(t *testing.T, dir string) *registry.Storage {
	t.Helper()
	s, err := registry.OpenStorage(t.Context(), registry.FilesystemStorage(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// migrated is a database of a mothership of its own.
func migrated(t *testing.T) *postgres.DB {
	t.Helper()
	url := postgrestest.EmptyURL(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	db, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// TestAStoreThatIsNotShared: a server on a store of its own says so and stops, also
// when several start at once, before anything was pushed.
func TestAStoreThatIsNotShared(t *testing.T) {
	t.Parallel()
	db := migrated(t)
	errs := make([]error, 4)
	var group sync.WaitGroup
	for i := range errs {
		s := store(t, t.TempDir())
		group.Go(func() { errs[i] = space.ClaimStore(t.Context(), db, s) })
	}
	group.Wait()
	claimed := 0
	for _, err := range errs {
		if err == nil {
			claimed++
		} else if constellation.KindOf(err) != constellation.KindConflict || !strings.Contains(err.Error(), "not the one that the servers of this database share") {
			t.Errorf("a server on another store = %v, want what is wrong", err)
		}
	}
	if claimed != 1 {
		t.Errorf("%d stores were claimed, want 1", claimed)
	}
}

// TestWhoseAStoreIs: what restores, copies, upgrades and unmounted volumes make.
func TestWhoseAStoreIs(t *testing.T) {
	t.Parallel()
	ctx, db, dir := t.Context(), migrated(t), t.TempDir()
	s := store(t, dir)
	claim := func(what string, db *postgres.DB, s space.MarkedStore, want constellation.Kind) {
		t.Helper()
		if err := space.ClaimStore(ctx, db, s); constellation.KindOf(err) != want {
			t.Errorf("%s = %v, want %q", what, err, want)
		}
	}
	claim("the first start", db, s, "")
	claim("the next start", db, store(t, dir), "")
	claim("another mothership on it", migrated(t), s, constellation.KindConflict)
	if err := space.CheckStore(ctx, db, s); err != nil {
		t.Errorf("the store under a server that runs = %v, want nil", err)
	}

	h := &house{db: db, content: &content{manifests: map[string][]byte{}}}
	h.Service = control.New(control.Options{DB: db, Content: h.content})
	h.push(t, "neo", "Hello", hashA)
	emptied := store(t, t.TempDir())
	claim("an emptied store", db, emptied, constellation.KindConflict)
	if err := space.CheckStore(ctx, db, emptied); constellation.KindOf(err) != constellation.KindUnavailable {
		t.Errorf("an unmounted store under a server that runs = %v, want unavailable", err)
	}
	// A copy that has the images and not the mark, as of a release without marks.
	claim("a store with the newest image", db, unmarked{emptied, h.content}, "")
	claim("the same one, marked", db, emptied, "")
}

// unmarked is a store that has the images of another.
type unmarked struct {
	*registry.Storage
	images *content
}

// Manifest is part of bundle.Content.
func (u unmarked) Manifest(ctx context.Context, repository, digest string) ([]byte, error) {
	return u.images.Manifest(ctx, repository, digest)
}
