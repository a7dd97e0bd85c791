//go:build linux

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStateFolder(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made")
	given := t.TempDir()
	for _, dir := range []string{made, given} {
		if err := claim(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := claim(dir); err == nil {
			t.Errorf("claim(%s) twice gave no error", dir)
		}
		if err := discard(dir); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(made); !os.IsNotExist(err) {
		t.Errorf("the folder made for the cluster is still there: %v", err)
	}
	if entries, err := os.ReadDir(given); err != nil || len(entries) != 0 {
		t.Errorf("the folder given to the cluster has %v (%v), want nothing", entries, err)
	}
}

func TestDiscardLeavesForeignFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mine")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := claim(dir); err == nil {
		t.Error("claim of a folder with files gave no error")
	}
	if err := discard(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("discard removed a foreign file: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"dev": true, "a-1": true, "": false, "-a": false, "A": false, "a/b": false, "..": false} {
		if err := CheckName(name); (err == nil) != ok {
			t.Errorf("CheckName(%q) = %v, want ok %v", name, err, ok)
		}
	}
}
