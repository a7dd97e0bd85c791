package install_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install"
	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
)

// resigned is m's launch with another root, signed by m's mothership.
func resigned(t *testing.T, m *mother, change func(*bundle.Root)) {
	t.Helper()
	root, err := bundle.ParseRoot(m.bundle.Root)
	if err != nil {
		t.Fatal(err)
	}
	change(root)
	data, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	m.bundle.Root, m.bundle.Signature = data, bundle.Sign(m.key, data)
}

// A mothership that means ill names files that are the operator's.
func TestAHostileMothershipTouchesNothing(t *testing.T) {
	t.Parallel()
	victim := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(victim, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 30) + strings.TrimPrefix(victim, "/")
	tests := map[string]func(*bundle.Root){
		"a blob":        func(r *bundle.Root) { r.Blobs[0] = bundle.Descriptor{Digest: "sha256:" + up, Size: 1} },
		"the plan":      func(r *bundle.Root) { r.Plan.Digest = "sha256:" + up },
		"an image":      func(r *bundle.Root) { r.Images[0].Digest = "sha256:" + up },
		"the satellite": func(r *bundle.Root) { r.SatelliteID = up },
		"the launch":    func(r *bundle.Root) { r.LaunchID = up },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			m, f := newMother(t, newKey(t), 1, 5000), folder(t)
			mustGet(t, f, m.options()) // pins its key
			resigned(t, m, change)
			_, err := install.Get(t.Context(), f, m.options())
			if data, err := os.ReadFile(victim); err != nil || string(data) != "x" {
				t.Errorf("the operator's file is %q, %v", data, err)
			}
			wantCode(t, err, fault.CodeIntegrity, "read launch.json")
		})
	}
}

// outside is every file and folder of a place but for the launch's own.
func outside(t *testing.T, dir, own string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !strings.HasPrefix(path, own) {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// An import whose signed root names other places writes to none of them.
func TestAnImportStaysInItsFolder(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*bundle.Root){
		"the satellite": func(r *bundle.Root) { r.SatelliteID = "../../../../escaped" },
		"the launch":    func(r *bundle.Root) { r.LaunchID = "../../../../../escaped" },
	} {
		m := newMother(t, newKey(t), 1, 5000)
		resigned(t, m, change)
		layout := m.layout(t)
		base := t.TempDir()
		root := filepath.Join(base, "deployment")
		_, err := install.Import(t.Context(), install.ImportOptions{Root: root, From: layout, Trust: m.bundle.Signature.KeyID, Progress: progress.New(io.Discard)})
		wantCode(t, err, fault.CodeIntegrity, "read launch.json")
		if found := outside(t, base, root); len(found) > 1 {
			t.Errorf("%s: the import wrote %q", name, found)
		}
	}
}

// A symbolic link in a folder that was carried here leads nowhere out of it.
func TestSymbolicLinksLeadNowhere(t *testing.T) {
	t.Parallel()
	p := newPrivate(t)
	m, f := gotten(t, p, 30_000)
	for _, name := range []string{"work", "lock", "logs", "rendered", "bundle/blobs/sha256", "bundle/blobs", "bundle"} {
		there := copyOf(t, f, m)
		target := t.TempDir()
		precious := filepath.Join(target, strings.Repeat("0", 64))
		if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(there.Path(name)); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, there.Path(name)); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, _ = install.Verify(ctx, there, "", pushOptions().Progress)
		_, _ = install.Get(ctx, there, m.options())
		_, _ = install.Push(ctx, there, pushOptions())
		cancel()
		if found := outside(t, target, "/nowhere"); len(found) != 2 || found[1] != precious {
			t.Errorf("%s: beyond the link there is %q", name, found)
		}
	}
}

// What an operator put beside the blobs stays when the launch changes.
func TestOnlyBlobsAreSwept(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	first, f := newMother(t, key, 1, 5000), folder(t)
	mustGet(t, f, first.options())
	kept := []string{f.Path("bundle/blobs/sha256/notes.txt"), f.Path("work/.hidden"), f.Path("work/my.part"), filepath.Join(f.Root, "blobs/sha256/mine")}
	gone := []string{f.Path("bundle/blobs/sha256", strings.Repeat("0", 64)), f.Path("work", strings.Repeat("0", 64)+".part")}
	for _, path := range append(append([]string{}, kept...), gone...) {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := newMother(t, key, 2, 5000)
	first.bundle, first.blobs = second.bundle, second.blobs
	mustGet(t, f, first.options())
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("get removed %s, which is no blob", path)
		}
	}
	for _, path := range gone {
		if _, err := os.Stat(path); err == nil {
			t.Errorf("get left %s, which no launch has", path)
		}
	}
}
