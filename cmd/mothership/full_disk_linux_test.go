package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/constellation-serving/constellation/internal/storage"
)

// TestFullDisk fills a small disk that PostgreSQL and the images are on together. Pushes
// are refused in words while some of it is left, so that writes, a removal and a
// garbage collection go on; then pushes do too. The disk is filled to its last byte by
// somebody else at the end: what is on it is there when that is gone.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := dataDir(t)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512m,mode=0711"); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	const keep = 100e6
	g := &gcCrasher{crasher: newCrasherIn(t, dir)}
	g.serveArgs = []string{"--storage-keep-free", "100MB"}
	_, kill := g.begin(t)
	defer kill()

	push := func(n int) error {
		layer, err := plainLayer(24 << 20)
		if err != nil {
			return err
		}
		image, err := imageOf(layer)
		if err != nil {
			return err
		}
		reference, err := g.Reference(fmt.Sprintf("%040x", n))
		if err != nil {
			return err
		}
		return remote.Write(reference, image, append(g.Options(t.Context()), remote.WithRetryPredicate(func(error) bool { return false }), remote.WithRetryStatusCodes())...)
	}
	pushed := 0
	var refused error
	for refused == nil && pushed < 40 {
		if refused = push(pushed); refused == nil {
			pushed++
		}
	}
	var answer *transport.Error
	if !errors.As(refused, &answer) || answer.StatusCode != http.StatusInsufficientStorage || pushed == 0 {
		t.Fatalf("after %d pushes onto a disk of 512 MB: %v, want 507", pushed, refused)
	}
	if free, err := storage.Free(dir); err != nil || free < keep/2 {
		t.Errorf("%d bytes are free when pushes are refused, %v; want about %d", free, err, int64(keep))
	}
	for range 50 {
		if err := g.WriteSatellite(t.Context()); err != nil {
			t.Fatalf("a write while pushes are refused: %v", err)
		}
	}
	for n := range 2 {
		if err := g.delete(t.Context(), fmt.Sprintf("%040x", n)); err != nil {
			t.Fatalf("remove a version while pushes are refused: %v", err)
		}
	}
	g.gcWhole(t)
	if err := push(1000); err != nil {
		t.Errorf("push after space was freed: %v", err)
	}

	filler, err := os.Create(filepath.Join(dir, "somebody-elses"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for err = nil; err == nil; _, err = filler.Write(block) {
	}
	_ = filler.Close() // it is full
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	_ = g.WriteSatellite(t.Context()) // it may fail: what is acknowledged counts
	kill()
	if err := os.Remove(filler.Name()); err != nil {
		t.Fatal(err)
	}
	_, kill = g.begin(t)
	defer kill()
	g.Check(t, 0, 0)
}

// TestStorageCopyOntoAFullDisk copies a registry onto a disk that is too small for it, then
// one that may only be read: it says so, leaves nothing half done, and comes to the end
// once there is room.
func TestStorageCopyOntoAFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	from, to := folder(t), "file://"+dir
	imagesOf(t, from, "ours", 12, 1<<20) // of which four at once have room
	remount := func(flags uintptr, options string) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, options); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		code, stdout, stderr := copyStorageCommand(t, from, to)
		if want = "the storage " + to + " cannot be written to: " + want; code != 1 || stdout != "" || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%d %q %q, want 1 and one line with %q", code, stdout, stderr, want)
		}
	}
	refused("it is full; free some space")
	if left, err := os.ReadDir(filepath.Join(dir, "constellation", "copying")); err != nil || len(left) > 0 {
		t.Errorf("onto a full disk it left %v, %v", left, err)
	}
	remount(syscall.MS_RDONLY, "size=64m")
	refused("read-only file system")
	remount(0, "size=64m")
	if code, stdout, stderr := copyStorageCommand(t, from, to); code != 0 || !strings.Contains(stdout, " has 12 blobs, ") || strings.Contains(stdout, " 0 there before") {
		t.Errorf("with room: %d %q %q, want the rest copied", code, stdout, stderr)
	}
	if diff := cmp.Diff(filesAt(t, from), filesAt(t, to)); diff != "" {
		t.Errorf("(-FROM +TO)\n%s", diff)
	}
}
