package backup_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/backup"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// TestAFlippedByteIsNamed in every file of a backup.
func TestAFlippedByteIsNamed(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		good, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, at := range []int{0, len(good) / 2, len(good) - 1} {
			bad := bytes.Clone(good)
			bad[at] ^= 0x20
			if err := os.WriteFile(name, bad, 0o600); err != nil {
				return err
			}
			relative, _ := filepath.Rel(dir, name)
			done, err := backup.Verify(t.Context(), parse(t, dir), "", nil)
			var found string
			if err != nil {
				found = err.Error()
			} else {
				for _, f := range done.Faults {
					found += f.File + ": " + f.Problem + "\n"
				}
			}
			if !strings.Contains(found, filepath.Base(relative)) && filepath.Base(relative) != "backup.json" {
				t.Errorf("byte %d of %s flipped: %q", at, relative, found)
			}
		}
		return os.WriteFile(name, good, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if faults := verify(t, dir); len(faults) > 0 {
		t.Errorf("with every byte as it was: %v", faults)
	}
}

// TestACutTarIsNoBackup wherever it was cut.
func TestACutTarIsNoBackup(t *testing.T) {
	t.Parallel()
	m, file := newMothership(t), filepath.Join(t.TempDir(), "whole.tar")
	m.mustTake(file, 0)
	if faults := verify(t, file); len(faults) > 0 {
		t.Fatal(faults)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar")
	for at := 0; at < len(whole)-2048; at += len(whole)/60 + 1 {
		if err := os.WriteFile(cut, whole[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		done, err := backup.Verify(t.Context(), parse(t, cut), "", nil)
		if err == nil && len(done.Faults) == 0 {
			t.Errorf("cut at %d of %d, nothing is wrong", at, len(whole))
		}
	}
}

// TestAHostileTarIsRefused before anything of it is used.
func TestAHostileTarIsRefused(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]tar.Header{
		"a path out":     {Name: "../../etc/passwd", Typeflag: tar.TypeReg},
		"a whole path":   {Name: "/etc/passwd", Typeflag: tar.TypeReg},
		"a link":         {Name: "backup.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		"a hard link":    {Name: "backup.json", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
		"a device":       {Name: "backup.json", Typeflag: tar.TypeChar},
		"a folder":       {Name: "points/", Typeflag: tar.TypeDir},
		"a table's name": {Name: "points/20260101T000000.000Z/tables/../x.copy.gz", Typeflag: tar.TypeReg},
		"a strange file": {Name: "README", Typeflag: tar.TypeReg},
	} {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		if err := errors.Join(w.WriteHeader(&header), w.Close()); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "hostile.tar")
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := backup.List(t.Context(), parse(t, file)); constellation.KindOf(err) != constellation.KindInvalid || !strings.Contains(err.Error(), "is no backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALinkInAFolderIsNotFollowed.
func TestALinkInAFolderIsNotFollowed(t *testing.T) {
	t.Parallel()
	m, dir := newMothership(t), t.TempDir()
	m.mustTake(dir, 0)
	hex := strings.TrimPrefix(digestOf("one"), "sha256:")
	blob, elsewhere := filepath.Join(dir, "blobs/sha256", hex[:2], hex), filepath.Join(t.TempDir(), "one")
	if err := errors.Join(os.Rename(blob, elsewhere), os.Symlink(elsewhere, blob)); err != nil {
		t.Fatal(err)
	}
	if faults := verify(t, dir); len(faults) != 1 || !strings.Contains(faults[0].Problem, "no regular file") {
		t.Errorf("a blob that is a link: %v", faults)
	}
}
