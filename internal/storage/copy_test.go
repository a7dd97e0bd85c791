package storage_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		target, err := storage.ParseLocation(to)
		if err == nil {
			_, err = copyOnce(context.Background(), storage.FileLocation(from), target)
		}
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
		cmd.Env = append(os.Environ(), copyVariable+"="+from+" file://"+to)
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

// TestCopyIntoABucketKilled kills copies with SIGKILL at one write to the bucket after
// another, of small blobs and of such as go up in parts, until one gets through: the end
// is the same, held to its digests, and no upload is left that somebody would pay for.
func TestCopyIntoABucketKilled(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	from, to := t.TempDir(), store.Location(t, "registry")
	source := openAt(t, storage.FileLocation(from))
	want := fill(t, source, 10, 50_000)
	maps.Copy(want, fill(t, source, 3, 17<<20)) // of two parts each
	kills, left := 0, 0
	for writes := int64(1); ; writes += 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test itself
		cmd.Env = append(os.Environ(), copyVariable+"="+from+" "+to.String())
		var out bytes.Buffer
		cmd.Stderr = &out
		var seen atomic.Int64
		started := make(chan *os.Process, 1)
		store.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet && r.Method != http.MethodHead && seen.Add(1) == writes {
				_ = (<-started).Kill() // and the store does what was asked of it
			}
			return false
		})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		started <- cmd.Process
		err := cmd.Wait()
		store.Fault(nil)
		if err == nil {
			break
		}
		if out.Len() > 0 {
			t.Fatalf("copy: %v: %s", err, out.String())
		}
		kills++
		left = max(left, len(store.Left(t)))
	}
	target := openAt(t, to)
	if diff := cmp.Diff(want, contents(t, target)); diff != "" {
		t.Errorf("(-want +got):\n%.2000s", diff)
	}
	blobs := 0
	err := storage.Rehash(t.Context(), target, func(d string, _ int64, good bool) {
		if blobs++; !good {
			t.Errorf("%s is damaged", d)
		}
	}, func(int) {})
	if err != nil || blobs != 13 {
		t.Errorf("Rehash of the target: %d blobs, %v", blobs, err)
	}
	if kills < 5 || left == 0 {
		t.Errorf("%d copies were killed, with at most %d uploads under way; so this tests little", kills, left)
	}
	if left := store.Left(t); len(left) > 0 {
		t.Errorf("the copies left %v", left)
	}
}

// TestLeftUploadsGo: what a copy left that nobody runs again goes when it is old, with
// what the servers remove, and not before.
func TestLeftUploadsGo(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t)
	d := openAt(t, store.Location(t, "registry"))
	content := make([]byte, 17<<20)
	w, err := d.Writer(t.Context(), blobPath(digest.FromBytes(content)), false)
	if err == nil {
		_, err = w.Write(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	// And nothing more is heard of it.
	if left := store.Left(t); len(left) != 2 {
		t.Fatalf("an upload under way has %v, want its parts and a note of it", left)
	}
	for _, test := range []struct {
		before time.Time
		dryRun bool
		found  int64
		left   int
	}{{time.Now().Add(-time.Hour), false, 0, 2}, {time.Now().Add(time.Hour), true, 1, 2}, {time.Now().Add(time.Hour), false, 1, 0}} {
		use, err := storage.DropLeftUploads(t.Context(), d, test.before, test.dryRun)
		if left := store.Left(t); err != nil || use.Blobs != test.found || len(left) != test.left {
			t.Errorf("DropLeftUploads(%v, %v) finds %d, %v, and leaves %v; want %d and %d left", test.before, test.dryRun, use.Blobs, err, left, test.found, test.left)
		}
	}
	if use, err := storage.DropLeftUploads(t.Context(), openAt(t, storage.FileLocation(t.TempDir())), time.Now(), false); err != nil || use.Blobs != 0 {
		t.Errorf("DropLeftUploads of a folder = %+v, %v", use, err)
	}
}
