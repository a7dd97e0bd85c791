package s3_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/internal/storage"
	"github.com/constellation-serving/constellation/internal/storage/storagetest"
)

func open(t *testing.T, prefix string) (driver.StorageDriver, *storagetest.Store) {
	t.Helper()
	store := storagetest.New(t)
	d, err := storage.Open(store.Location(t, prefix))
	if err != nil {
		t.Fatal(err)
	}
	return d, store
}

// TestContent walks through the interface, with a prefix and without.
func TestContent(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"", "team/registry"} {
		d, _ := open(t, prefix)
		ctx := t.Context()
		for _, path := range []string{"/a/b/one", "/a/b/two", "/a/c/three", "/a-b/four", "/ab"} {
			if err := d.PutContent(ctx, path, []byte(path)); err != nil {
				t.Fatal(err)
			}
		}
		wantContent(t, d, "/a/b/one", "/a/b/one")
		for path, isDir := range map[string]bool{"/a": true, "/a/b": true, "/ab": false, "/a/c/three": false, "/": true} {
			info, err := d.Stat(ctx, path)
			if err != nil || info.IsDir() != isDir || info.Path() != path || !isDir && info.Size() != int64(len(path)) {
				t.Errorf("Stat(%s) = %+v, %v", path, info, err)
			}
		}
		for path, want := range map[string][]string{"/": {"/a", "/a-b", "/ab"}, "/a": {"/a/b", "/a/c"}, "/a/b": {"/a/b/one", "/a/b/two"}} {
			got, err := d.List(ctx, path)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("List(%s): %v (-want +got)\n%s", path, err, diff)
			}
		}
		if err := d.Move(ctx, "/a/b/two", "/z/two"); err != nil {
			t.Fatal(err)
		}
		wantContent(t, d, "/z/two", "/a/b/two")
		for _, path := range []string{"/a/b/two", "/nothing", "/a/b/on"} {
			wantMissing(t, d, path)
		}
		if err := d.Delete(ctx, "/a"); err != nil {
			t.Fatal(err)
		}
		wantMissing(t, d, "/a/b/one")
		wantContent(t, d, "/a-b/four", "/a-b/four")
		wantContent(t, d, "/ab", "/ab")
		if err := d.Delete(ctx, "/a"); !isMissing(err) {
			t.Errorf("Delete of what is gone gives %v", err)
		}
		for _, path := range []string{"", "a", "/a//b", "/a b", "/a/"} {
			if err := d.PutContent(ctx, path, nil); !errors.As(err, new(driver.InvalidPathError)) {
				t.Errorf("PutContent(%q) gives %v", path, err)
			}
		}
	}
}

func isMissing(err error) bool { return errors.As(err, new(driver.PathNotFoundError)) }

func wantContent(t *testing.T, d driver.StorageDriver, path, want string) {
	t.Helper()
	got, err := d.GetContent(t.Context(), path)
	if err != nil || string(got) != want {
		t.Errorf("GetContent(%s) = %d bytes, %v, want %d", path, len(got), err, len(want))
	}
}

func wantMissing(t *testing.T, d driver.StorageDriver, path string) {
	t.Helper()
	if _, err := d.GetContent(t.Context(), path); !isMissing(err) {
		t.Errorf("GetContent(%s) gives %v, want that it is not there", path, err)
	}
	if _, err := d.Stat(t.Context(), path); !isMissing(err) {
		t.Errorf("Stat(%s) gives %v, want that it is not there", path, err)
	}
	if _, err := d.List(t.Context(), path); !isMissing(err) {
		t.Errorf("List(%s) gives %v, want that it is not there", path, err)
	}
	if _, err := d.Writer(t.Context(), path, true); !isMissing(err) {
		t.Errorf("Writer(%s) gives %v, want that it is not there", path, err)
	}
}

// TestUploads writes content of many sizes in pieces, each by a writer of its
// own as another process would.
func TestUploads(t *testing.T) {
	t.Parallel()
	d, store := open(t, "p")
	random := make([]byte, 35<<20)
	_, _ = rand.Read(random) // never fails
	for _, pieces := range [][]int{{}, {0}, {5}, {5, 0, 7}, {16 << 20}, {16<<20 + 1}, {3 << 20, 15 << 20, 1, 16 << 20}} {
		path := fmt.Sprintf("/uploads/%d-%d/data", len(pieces), sum(pieces))
		written := 0
		w, err := d.Writer(t.Context(), path, false)
		for _, n := range pieces {
			if err == nil {
				err = w.Close()
			}
			if err == nil {
				if _, err := d.Stat(t.Context(), path); !isMissing(err) {
					t.Errorf("%s is there before it is committed: %v", path, err)
				}
				w, err = d.Writer(t.Context(), path, true)
			}
			if err == nil {
				_, err = w.Write(random[written : written+n])
			}
			if err != nil {
				t.Fatal(err)
			}
			if written += n; w.Size() != int64(written) {
				t.Errorf("%s has %d bytes, want %d", path, w.Size(), written)
			}
		}
		if err == nil {
			err = w.Commit(t.Context())
		}
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		wantContent(t, d, path, string(random[:written]))
		if n := besides(t, store, d); n != 0 {
			t.Errorf("%s: %d objects are left beside it", path, n)
		}
	}
}

func sum(ints []int) (total int) {
	for _, n := range ints {
		total += n
	}
	return total
}

// besides counts what is in the bucket and is no content.
func besides(t *testing.T, store *storagetest.Store, d driver.StorageDriver) int {
	t.Helper()
	var listed atomic.Int64
	store.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		listed.Add(int64(strings.Count(r.URL.Path, "~")))
		return false
	})
	defer store.Fault(nil)
	err := d.Delete(t.Context(), "/uploads")
	if err != nil && !isMissing(err) {
		t.Fatal(err)
	}
	return int(listed.Load())
}

// TestUploadsDropped removes uploads on every way, and wants nothing left of
// them: neither objects nor parts.
func TestUploadsDropped(t *testing.T) {
	t.Parallel()
	d, store := open(t, "p")
	var aborted atomic.Int64
	store.Fault(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted.Add(1)
		}
		return false
	})
	for i, size := range []int{10, 17 << 20} {
		for _, cancel := range []bool{true, false} {
			path := fmt.Sprintf("/uploads/%d/data", size)
			ctx, gone := context.WithCancel(t.Context())
			w, err := d.Writer(ctx, path, false)
			if err == nil {
				_, err = w.Write(make([]byte, size))
			}
			if err != nil {
				t.Fatal(err)
			}
			before := aborted.Load()
			if cancel {
				err = w.Cancel(ctx)
			} else {
				gone() // the client; what came is kept all the same
				if err = w.Close(); err == nil {
					w, err = d.Writer(t.Context(), path, true)
				}
				if err != nil || w.Size() != int64(size) {
					t.Fatalf("the upload of a client that went away has gone too: %v", err)
				}
				err = errors.Join(w.Close(), d.Delete(t.Context(), fmt.Sprintf("/uploads/%d", size)))
			}
			gone()
			if err != nil {
				t.Fatal(err)
			}
			if got := aborted.Load() - before; got != int64(i) {
				t.Errorf("%d bytes, cancelled %v: %d multipart uploads were dropped, want %d", size, cancel, got, i)
			}
			wantMissing(t, d, path)
		}
	}
}

// TestReadGoesOn cuts every answer short.
func TestReadGoesOn(t *testing.T) {
	t.Parallel()
	d, store := open(t, "p")
	want := make([]byte, 1<<20)
	_, _ = rand.Read(want) // never fails
	if err := d.PutContent(t.Context(), "/big", want); err != nil {
		t.Fatal(err)
	}
	store.Fault(func(w http.ResponseWriter, r *http.Request) bool {
		var from int
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from) // else from the beginning
		if r.Method != http.MethodGet || from >= len(want) {
			return false
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(want)-from))
		w.Header().Set("ETag", `"x"`)
		w.Header().Set("Last-Modified", "Mon, 30 Nov 2026 01:00:00 GMT")
		if from > 0 {
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = w.Write(want[from:min(len(want), from+200_000)]) // and net/http breaks off
		return true
	})
	for _, offset := range []int64{0, 1000, 1 << 20, 2 << 20} {
		r, err := d.Reader(t.Context(), "/big", offset)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil || !bytes.Equal(got, want[min(offset, 1<<20):]) {
			t.Errorf("from %d: %d bytes, %v", offset, len(got), err)
		}
	}
}

// TestWalk compares with what is there, and skips large folders without
// reading all of them.
func TestWalk(t *testing.T) {
	t.Parallel()
	d, store := open(t, "p")
	for _, path := range []string{"/w/a/1", "/w/a-b/2", "/w/b/c/3", "/w/b/c/4", "/w/d"} {
		if err := d.PutContent(t.Context(), path, nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		skip, stop string
		options    []func(*driver.WalkOptions)
		want       []string
	}{
		"all":   {want: []string{"/w/a-b", "/w/a-b/2", "/w/a", "/w/a/1", "/w/b", "/w/b/c", "/w/b/c/3", "/w/b/c/4", "/w/d"}},
		"skip":  {skip: "/w/b", want: []string{"/w/a-b", "/w/a-b/2", "/w/a", "/w/a/1", "/w/b", "/w/d"}},
		"stop":  {stop: "/w/a/1", want: []string{"/w/a-b", "/w/a-b/2", "/w/a", "/w/a/1"}},
		"after": {options: []func(*driver.WalkOptions){driver.WithStartAfterHint("/w/b/c/3")}, want: []string{"/w/b", "/w/b/c", "/w/b/c/4", "/w/d"}},
	} {
		var got []string
		err := d.Walk(t.Context(), "/w", func(info driver.FileInfo) error {
			got = append(got, info.Path())
			switch info.Path() {
			case test.skip:
				return driver.ErrSkipDir
			case test.stop:
				return driver.ErrFilledBuffer
			}
			return nil
		}, test.options...)
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
	if err := d.Walk(t.Context(), "/nothing", func(driver.FileInfo) error { return nil }); !isMissing(err) {
		t.Errorf("Walk of what is not there gives %v", err)
	}
	_ = store
}

// TestMoveLarge moves what one request would not copy.
func TestMoveLarge(t *testing.T) {
	t.Parallel()
	d, _ := open(t, "p")
	w, err := d.Writer(t.Context(), "/from", false)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("constellation"), 1<<20)
	for w.Size() <= 256<<20 {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	size := w.Size()
	if err := errors.Join(w.Commit(t.Context()), w.Close(), d.Move(t.Context(), "/from", "/to")); err != nil {
		t.Fatal(err)
	}
	wantMissing(t, d, "/from")
	if info, err := d.Stat(t.Context(), "/to"); err != nil || info.Size() != size {
		t.Errorf("Stat = %+v, %v, want %d bytes", info, err, size)
	}
}
