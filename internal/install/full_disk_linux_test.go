package install_test

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// smallDisk is a folder on a file system of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small tmpfs")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs to mount a small tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil { // a child that another test forks holds its files for a moment
			t.Error(err)
		}
	})
	return dir
}

// A disk that fills while the download runs: the check before it saw room.
func TestGetOnADiskThatFills(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "256k")
	m := newMother(t, newKey(t), 1, 400_000)
	f := folder(t)
	f.Root = dir
	o := m.options()
	o.FreeSpace = func(string) (int64, error) { return math.MaxInt64, nil }
	_, err := install.Get(t.Context(), f, o)
	wantCode(t, err, fault.CodeFailed, "no room is left in "+dir, "run the same command again", "--deployment-dir")
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

// A disk that has room for ever more of a push and of a deploy: each ends well
// or in one sentence, and once there is room the same command goes through.
func TestPushAndDeployOnADiskThatFills(t *testing.T) {
	kubeconfig, p := startAPIServer(t), newPrivate(t)
	m, f := newMother(t, newKey(t), 1, 100_000), folder(t)
	f.Root = smallDisk(t, "2m")
	mustGet(t, f, m.options())
	configure(t, f, "stage.container_registry="+p.host+"/team", "stage.kubernetes.kubeconfig_path="+kubeconfig,
		"stage.kubernetes.namespace=algorithms", "stage.kubernetes.create_namespace=true", "stage.ingress.provider=none")
	o := install.DeployOptions{NoWait: true, Timeout: time.Minute, Progress: progress.New(io.Discard)}
	verbs := map[string]func() error{
		"push":   func() error { _, err := install.Push(t.Context(), f, pushOptions()); return err },
		"deploy": func() error { _, err := install.Deploy(t.Context(), f, o); return err },
	}
	for _, name := range []string{"push", "deploy"} {
		refused := 0
		for room := 0; ; {
			filler := fill(t, f.Root, room)
			err := verbs[name]()
			if removed := os.Remove(filler); removed != nil {
				t.Fatal(removed)
			}
			if err == nil {
				break
			}
			refused++
			if thorough() > 0 {
				room += 4096
			} else {
				room = max(4096, 2*room)
			}
			wantCode(t, err, fault.CodeFailed, "no room is left in "+f.Root, "run the same command again")
			onlyRight(t, f)
		}
		if refused == 0 {
			t.Errorf("%s on a full disk: no error", name)
		}
		if err := verbs[name](); err != nil {
			t.Errorf("%s once there is room: %v", name, err)
		}
	}
	if result, err := install.Deploy(t.Context(), f, o); err != nil || len(result.Changes) > 0 {
		t.Errorf("Deploy again = %+v, %v, want nothing to do", result, err)
	}
}

// fill leaves so many bytes free on a disk, in whole pages.
func fill(t *testing.T, dir string, room int) string {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	size := int64(0)
	for err == nil {
		var n int
		n, err = file.Write(make([]byte, 4096))
		size += int64(n)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := file.Truncate(max(0, size-int64(room))); err != nil {
		t.Fatal(err)
	}
	return file.Name()
}
