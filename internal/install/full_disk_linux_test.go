package install_test

import (
	"math"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
)

// A disk that fills while the download runs: the check before it saw room.
func TestGetOnADiskThatFills(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil { // a child that another test forks holds its files for a moment
			t.Error(err)
		}
	})
	m := newMother(t, newKey(t), 1, 400_000)
	f := folder(t)
	f.Root = dir
	o := m.options()
	o.FreeSpace = func(string) (int64, error) { return math.MaxInt64, nil }
	_, err := install.Get(t.Context(), f, o)
	wantCode(t, err, install.CodeFailed, "no room is left in "+dir, "run the same command again", "--deployment-dir")
	if text := err.Error(); strings.Contains(text, ".part") || strings.Contains(text, "\n") {
		t.Errorf("Get = %q, want one sentence without temporary files", text)
	}
	if _, err := os.Stat(f.Path("bundle", "index.json")); err == nil {
		t.Error("index.json is there although the download failed")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	mustGet(t, f, o)
}
