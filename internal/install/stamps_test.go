package install_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// A folder's word that its files were checked already counts for nothing.
func TestStampsDoNotTravel(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 6<<20)
	large := strings.TrimPrefix(m.layers[0], "sha256:")
	path := f.Path("bundle/blobs/sha256", large)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[1000] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	size, when, inode := info.Size(), info.ModTime().UnixNano(), inodeOf(t, path)
	stamp := map[string]any{"size": size, "time": when, "inode": inode}
	forged := map[string]any{"sha256:" + large: stamp}
	note, err := json.Marshal(forged)
	if err != nil {
		t.Fatal(err)
	}
	to := install.ExportOptions{File: filepath.Join(t.TempDir(), "x.tar"), Progress: pushOptions().Progress}
	for name, text := range map[string]string{
		"work/verified.json": string(note),
		"work/journal":       fmt.Sprintf("sha256:%s %d %d %d\n", large, size, when, inode),
	} {
		for _, leftover := range []string{"work/verified.json", "work/journal"} {
			if err := os.Remove(f.Path(leftover)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(f.Path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = install.Export(t.Context(), f, to)
		wantCode(t, err, fault.CodeIntegrity, path)
	}
	if err := os.WriteFile(f.Path("work/verified.json"), []byte(`{"seal":"`+strings.Repeat("0", 64)+`","note":`+string(note)+`}`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = install.Export(t.Context(), f, to)
	wantCode(t, err, fault.CodeIntegrity, path)
}

// Small documents are hashed whatever was noted of them.
func TestSmallDocumentsAreHashedEveryTime(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	mustPush(t, f, pushOptions()) // which notes that all is right
	path := f.Path("bundle/blobs/sha256", strings.TrimPrefix(m.plan.Algorithms[0].Image.Digest, "sha256:"))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	_, err = install.Push(t.Context(), f, pushOptions())
	wantCode(t, err, fault.CodeIntegrity, path)
}

func inodeOf(t *testing.T, path string) uint64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
