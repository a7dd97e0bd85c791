package storage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

// fill writes a registry as distribution lays it out, and returns what of it a
// copy has.
func fill(t *testing.T, d driver.StorageDriver, blobs, size int) map[string]string {
	t.Helper()
	want := map[string]string{}
	put := func(name string, content []byte) {
		if err := d.PutContent(t.Context(), name, content); err != nil {
			t.Fatal(err)
		}
		want[name] = string(content)
	}
	for i := range blobs {
		content := make([]byte, size+i)
		_, _ = rand.Read(content) // never fails
		sum := digest.FromBytes(content)
		put(blobPath(sum), content)
		repository := fmt.Sprintf("/docker/registry/v2/repositories/neo/a%d", i%3)
		put(repository+"/_layers/sha256/"+sum.Encoded()+"/link", []byte(sum))
		put(repository+"/_manifests/tags/latest/current/link", []byte(sum))
	}
	put("/constellation/mothership", []byte("id\n"))
	put("/constellation/referrers/neo/a/_subjects/sha256/0/1", []byte("{}"))
	if err := d.PutContent(t.Context(), "/docker/registry/v2/repositories/neo/a0/_uploads/1/data", []byte("half")); err != nil {
		t.Fatal(err)
	}
	return want
}

func blobPath(d digest.Digest) string {
	return "/docker/registry/v2/blobs/sha256/" + d.Encoded()[:2] + "/" + d.Encoded() + "/data"
}

// contents are all files below a driver's root but the probe.
func contents(t *testing.T, d driver.StorageDriver) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, root := range []string{"/docker", "/constellation"} {
		err := d.Walk(t.Context(), root, func(info driver.FileInfo) error {
			if info.IsDir() || path.Base(info.Path()) == "probe" {
				return nil
			}
			content, err := d.GetContent(t.Context(), info.Path())
			got[info.Path()] = string(content)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}

func openAt(t *testing.T, l storage.Location) driver.StorageDriver {
	t.Helper()
	d, err := storage.Open(l)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func copyOnce(ctx context.Context, from, to storage.Location) (storage.Copied, error) {
	c, err := storage.NewCopier(ctx, from, to)
	if err != nil {
		return storage.Copied{}, err
	}
	err = errors.Join(c.Run(ctx), c.Close())
	return c.Progress(), err
}

// TestCopy copies to the other kind and back, twice at once, and again when all
// is there.
func TestCopy(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	source, back := storage.FileLocation(t.TempDir()), storage.FileLocation(t.TempDir())
	want := fill(t, openAt(t, source), 20, 300_000)
	bucket := store.Location(t, "moved")
	for _, way := range [][2]storage.Location{{source, bucket}, {bucket, back}, {bucket, store.Location(t, "other")}} {
		errs := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := copyOnce(t.Context(), way[0], way[1])
				errs <- err
			}()
		}
		if err := errors.Join(<-errs, <-errs); err != nil {
			t.Fatalf("copy %s to %s: %v", way[0], way[1], err)
		}
		if diff := cmp.Diff(want, contents(t, openAt(t, way[1]))); diff != "" {
			t.Errorf("copy %s to %s (-want +got):\n%.2000s", way[0], way[1], diff)
		}
		again, err := copyOnce(t.Context(), way[0], way[1])
		if err != nil || again.Done != 0 || again.There != 20 || again.Moved != 0 || again.Files != 0 {
			t.Errorf("copied again, %+v, %v, want nothing to do", again, err)
		}
	}
}

// TestCopyFollowsChanges copies again after a push and a tag that moved.
func TestCopyFollowsChanges(t *testing.T) {
	t.Parallel()
	from, to := storage.FileLocation(t.TempDir()), storage.FileLocation(t.TempDir())
	source := openAt(t, from)
	fill(t, source, 3, 1000)
	if _, err := copyOnce(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	fill(t, source, 2, 500) // moves tags too
	copied, err := copyOnce(t.Context(), from, to)
	if err != nil || copied.Done != 2 || copied.There != 3 {
		t.Errorf("copied %+v, %v, want what is new", copied, err)
	}
	want := contents(t, source)
	delete(want, "/docker/registry/v2/repositories/neo/a0/_uploads/1/data")
	if diff := cmp.Diff(want, contents(t, openAt(t, to))); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}

// TestCopyLeavesDamageOut copies a blob whose bytes rotted.
func TestCopyLeavesDamageOut(t *testing.T) {
	t.Parallel()
	from, to := storage.FileLocation(t.TempDir()), storage.FileLocation(t.TempDir())
	source := openAt(t, from)
	fill(t, source, 2, 1000)
	damaged := digest.FromString("as it was")
	if err := source.PutContent(t.Context(), blobPath(damaged), []byte("as it is")); err != nil {
		t.Fatal(err)
	}
	copied, err := copyOnce(t.Context(), from, to)
	if diff := cmp.Diff([]string{damaged.String()}, copied.DamagedDigests); err != nil || diff != "" || copied.Done != 2 {
		t.Errorf("copied %+v, %v (-want +got)\n%s", copied, err, diff)
	}
	if _, err := openAt(t, to).Stat(t.Context(), blobPath(damaged)); err == nil {
		t.Error("the damaged blob is at the target")
	}
	var bad []string
	var bytes int
	err = storage.Rehash(t.Context(), source, func(d string, _ int64, good bool) {
		if !good {
			bad = append(bad, d)
		}
	}, func(n int) { bytes += n })
	if diff := cmp.Diff([]string{damaged.String()}, bad); err != nil || diff != "" || bytes != 1000+1001+8 {
		t.Errorf("Rehash: %d bytes, %v (-want +got)\n%s", bytes, err, diff)
	}
}

func TestCopyRefuses(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	full, empty := storage.FileLocation(t.TempDir()), storage.FileLocation(t.TempDir())
	fill(t, openAt(t, full), 1, 10)
	if _, err := copyOnce(t.Context(), full, full); err == nil || !strings.Contains(err.Error(), "both the source and the target") {
		t.Errorf("a copy onto itself gives %v", err)
	}
	if _, err := copyOnce(t.Context(), empty, full); err == nil || !strings.Contains(err.Error(), "has no registry in it") {
		t.Errorf("a copy of nothing gives %v", err)
	}
	store.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut {
			storagetest.Refuse(w, 403, "AccessDenied")
		}
		return r.Method == http.MethodPut
	})
	if _, err := copyOnce(t.Context(), full, store.Location(t, "a")); err == nil || !strings.Contains(err.Error(), "lack a right") {
		t.Errorf("a copy to a read-only bucket gives %v", err)
	}
}

// TestCopyStops breaks the target off in the middle; the next copy goes on.
func TestCopyStops(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	from, to := storage.FileLocation(t.TempDir()), store.Location(t, "a")
	want := fill(t, openAt(t, from), 12, 100_000)
	var puts atomic.Int64
	store.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || puts.Add(1) < 8 {
			return false
		}
		storagetest.Refuse(w, 403, "AccessDenied")
		return true
	})
	if _, err := copyOnce(t.Context(), from, to); err == nil {
		t.Fatal("the copy says nothing of a target that broke off")
	}
	store.Fault(nil)
	copied, err := copyOnce(t.Context(), from, to)
	if err != nil || copied.There == 0 || copied.There+copied.Done != 12 {
		t.Errorf("copied %+v, %v, want the rest alone", copied, err)
	}
	if diff := cmp.Diff(want, contents(t, openAt(t, to))); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
}

const copyVariable = "CONSTELLATION_TEST_COPY"

// TestMain copies, when it is told to, for TestCopyKilled.
func TestMain(m *testing.M) {
	if from, to, ok := strings.Cut(os.Getenv(copyVariable), " "); ok {
		_, err := copyOnce(context.Background(), storage.FileLocation(from), storage.FileLocation(to))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestCopyKilled kills copies with SIGKILL at one moment after another, until one
// gets through: the end is the same, with nothing left of those before.
func TestCopyKilled(t *testing.T) {
	t.Parallel()
	from, to := t.TempDir(), t.TempDir()
	want := fill(t, openAt(t, storage.FileLocation(from)), 40, 200_000)
	for blobs := 1; ; blobs += 7 {
		cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test itself
		cmd.Env = append(os.Environ(), copyVariable+"="+from+" "+to)
		var out bytes.Buffer
		cmd.Stderr = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if killAt(t, cmd, ended, to, blobs) {
			continue
		}
		break
	}
	if diff := cmp.Diff(want, contents(t, openAt(t, storage.FileLocation(to)))); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	if left, err := os.ReadDir(filepath.Join(to, "constellation", "copying")); err != nil || len(left) > 0 {
		t.Errorf("the copies left %v, %v", left, err)
	}
}

// killAt kills a copy once its target has so many blobs, and reports false when
// it ended before.
func killAt(t *testing.T, cmd *exec.Cmd, ended <-chan error, to string, blobs int) bool {
	t.Helper()
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("copy: %v: %s", err, cmd.Stderr)
			}
			return false
		default:
		}
		found, err := filepath.Glob(filepath.Join(to, "docker/registry/v2/blobs/sha256/*/*/data"))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) >= blobs {
			_ = cmd.Process.Kill() // it may have ended
			return <-ended != nil
		}
	}
}
