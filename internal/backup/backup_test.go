package backup_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/constellation"
	"github.com/constellation-serving/constellation/internal/postgres"
	"github.com/constellation-serving/constellation/internal/postgres/postgrestest"
	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// mothership is a database and a store with one repository.
type mothership struct {
	t     *testing.T
	db    *postgres.DB
	store storage.Location
}

func newMothership(t *testing.T) *mothership {
	t.Helper()
	m := &mothership{t: t, db: postgrestest.New(t), store: storage.FileLocation(t.TempDir())}
	m.add("one", "two")
	return m
}

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// add stores blobs, as pushes do.
func (m *mothership) add(texts ...string) {
	m.t.Helper()
	content, err := storage.OpenContent(m.store)
	if err != nil {
		m.t.Fatal(err)
	}
	defer content.Close() //nolint:errcheck // nothing is under way
	if err := content.Prepare(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	for _, text := range texts {
		if err := content.Put(m.t.Context(), digestOf(text), strings.NewReader(text)); err != nil {
			m.t.Fatal(err)
		}
		if err := m.db.UpsertBlob(m.t.Context(), constellation.StoredBlob{Digest: digestOf(text), Size: int64(len(text))}); err != nil {
			m.t.Fatal(err)
		}
		if _, err := m.db.InsertLink(m.t.Context(), "neo/foo", digestOf(text)); err != nil {
			m.t.Fatal(err)
		}
	}
}

func parse(t *testing.T, text string) backup.Target {
	t.Helper()
	target, err := backup.ParseTarget(text)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func (m *mothership) take(target string, keep int) (*backup.Taken, error) {
	return backup.Take(m.t.Context(), backup.Options{DB: m.db, Store: m.store, Target: parse(m.t, target), Program: "v1", By: "shell", Keep: keep})
}

func (m *mothership) mustTake(target string, keep int) *backup.Taken {
	m.t.Helper()
	taken, err := m.take(target, keep)
	if err != nil {
		m.t.Fatal(err)
	}
	return taken
}

func verify(t *testing.T, target string) []backup.Fault {
	t.Helper()
	done, err := backup.Verify(t.Context(), parse(t, target), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return done.Faults
}

// TestEachBlobIsWrittenOnce and goes with the last backup that has it.
func TestEachBlobIsWrittenOnce(t *testing.T) {
	t.Parallel()
	m := newMothership(t)
	for kind, target := range map[string]string{"folder": t.TempDir(), "bucket": storagetest.New(t).Text("backups")} {
		if taken := m.mustTake(target, 0); taken.WrittenBlobs != taken.Blobs {
			t.Errorf("the first backup in a %s wrote %d blobs of %d", kind, taken.WrittenBlobs, taken.Blobs)
		}
		if taken := m.mustTake(target, 0); taken.WrittenBlobs != 0 {
			t.Errorf("a backup of the same in a %s wrote %d blobs", kind, taken.WrittenBlobs)
		}
		if err := m.db.DeleteLink(t.Context(), "neo/foo", digestOf("two")); err != nil {
			t.Fatal(err)
		}
		if err := m.db.DeleteBlob(t.Context(), digestOf("two")); err != nil {
			t.Fatal(err)
		}
		if taken := m.mustTake(target, 2); len(taken.Removed) != 1 || taken.RemovedBlobs != 0 {
			t.Errorf("of three backups in a %s with two to keep, %v went with %d blobs, want one with none", kind, taken.Removed, taken.RemovedBlobs)
		}
		if taken := m.mustTake(target, 1); len(taken.Removed) != 2 || taken.RemovedBlobs != 1 {
			t.Errorf("with one backup to keep in a %s, %v went with %d blobs, want two with the one that only they had", kind, taken.Removed, taken.RemovedBlobs)
		}
		if faults := verify(t, target); len(faults) > 0 {
			t.Errorf("what is left in a %s: %v", kind, faults)
		}
		m.add("two")
	}
}

// TestOnlyTheOwnerReadsABackup.
func TestOnlyTheOwnerReadsABackup(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), filepath.Join(t.TempDir(), "new")
	m.mustTake(dir, 0)
	m.mustTake(dir+".tar", 0)
	for _, root := range []string{dir, dir + ".tar"} {
		err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has the mode %v", name, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	if _, err := m.take(dir+".tar", 0); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a backup to a tar that is there = %v", err)
	}
}

// TestATargetOfAnotherMothershipIsRefused and what is no target at all.
func TestATargetOfAnotherMothershipIsRefused(t *testing.T) {
	t.Parallel()
	one, other, dir := newMothership(t), newMothership(t), t.TempDir()
	if _, err := other.db.Pool().Exec(t.Context(), `UPDATE mothership SET id = gen_random_uuid()`); err != nil { // both are copies of one database
		t.Fatal(err)
	}
	one.mustTake(dir, 0)
	if _, err := other.take(dir, 0); constellation.KindOf(err) != constellation.KindConflict || !strings.Contains(err.Error(), "another mothership") {
		t.Errorf("a backup to another's target = %v", err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "photo.jpg"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := one.take(full, 0); constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("a backup to a folder with other things = %v", err)
	}
	if _, err := one.take(one.store.Dir()+"/backups", 0); constellation.KindOf(err) != constellation.KindInvalid {
		t.Errorf("a backup among the images = %v", err)
	}
	last, err := one.db.Backups(t.Context(), 1)
	if err != nil || len(last) != 1 || last[0].Error == "" {
		t.Errorf("the backup that failed = %+v, %v; want why", last, err)
	}
}

// TestOneBackupAtATime: the second one is told, and one that was killed is not waited
// for.
func TestOneBackupAtATime(t *testing.T) {
	t.Parallel()
	m := newMothership(t)
	left, ok, err := m.db.BeginBackup(t.Context(), "elsewhere", "shell", time.Second)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, err := m.db.BeginBackup(t.Context(), "here", "shell", time.Hour); ok || err != nil {
		t.Errorf("a second backup at once = %v, %v", ok, err)
	}
	taken := m.mustTake(t.TempDir(), 0) // its owner says nothing
	if err := m.db.SeenBackup(t.Context(), left.ID, 0); constellation.KindOf(err) != constellation.KindConflict {
		t.Errorf("the one that was taken for killed goes on: %v", err)
	}
	if taken.Blobs != 2 {
		t.Errorf("blobs = %d", taken.Blobs)
	}
}

// TestNothingIsRemovedWhileABackupRuns.
func TestNothingIsRemovedWhileABackupRuns(t *testing.T) {
	t.Parallel()
	m := newMothership(t)
	seize := func() (got bool) {
		t.Helper()
		err := m.db.Transact(t.Context(), func(tx *postgres.DB) (err error) {
			got, err = tx.SeizeBlob(t.Context(), digestOf("one"), time.Now().Add(time.Hour))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !seize() {
		t.Error("a blob is kept, though no backup runs")
	}
	b, _, err := m.db.BeginBackup(t.Context(), "here", "shell", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if seize() {
		t.Error("a blob goes while a backup runs")
	}
	if err := m.db.FinishBackup(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if !seize() {
		t.Error("a blob is kept after the backup")
	}
}

// TestLostAndDamagedBlobsAreTold and do not keep the rest from being backed up.
func TestLostAndDamagedBlobsAreTold(t *testing.T) {
	t.Parallel()
	m := newMothership(t)
	m.add("three")
	path := func(text string) string {
		hex := strings.TrimPrefix(digestOf(text), "sha256:")
		return filepath.Join(m.store.Dir(), "docker/registry/v2/blobs/sha256", hex[:2], hex, "data")
	}
	if err := errors.Join(os.Remove(path("one")), os.WriteFile(path("two"), []byte("2"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{t.TempDir(), filepath.Join(t.TempDir(), "a.tar")} {
		taken := m.mustTake(target, 0)
		if len(taken.Missing) != 1 || len(taken.Damaged) != 1 {
			t.Errorf("missing %v, damaged %v; want one each", taken.Missing, taken.Damaged)
		}
		if faults := verify(t, target); len(faults) != 2 {
			t.Errorf("verify = %v, want the two", faults)
		}
		store := storage.FileLocation(t.TempDir())
		done, err := restore(t, target, postgrestest.EmptyURL(t), store, nil)
		if err != nil || len(done.Faults) != 2 || done.CopiedBlobs != 1 {
			t.Errorf("restore = %+v, %v; want the one blob, and the two told", done, err)
		}
	}
}

// TestATargetThatFailsIsTold.
func TestATargetThatFailsIsTold(t *testing.T) {
	t.Parallel()
	m, s := newMothership(t), storagetest.New(t)
	s.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		storagetest.Refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	})
	if _, err := m.take(s.Text("backups"), 0); constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), "lack a right") {
		t.Errorf("a backup to a bucket that is read-only = %v", err)
	}
	s.Fault(nil)
	m.mustTake(s.Text("backups"), 0)
	out := &failingWriter{}
	_, err := backup.Take(t.Context(), backup.Options{DB: m.db, Store: m.store, Target: parse(t, "-"), By: "shell", Out: out})
	if err == nil {
		t.Error("a backup to a stream that ends worked")
	}
}

// failingWriter is a pipe that nobody reads any more.
type failingWriter struct{}

// Write implements io.Writer.
func (*failingWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
