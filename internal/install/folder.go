package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// DefaultRoot is DEPLOY_ROOT when nothing else is said.
const DefaultRoot = "/home/algo/deployment"

// Modes of what the installer writes: a bundle holds the launch's token.
const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// Folder is one launch's self-contained folder (DESIGN section 5).
type Folder struct {
	Root        string // DEPLOY_ROOT
	SatelliteID string
	LaunchID    string
}

// Path joins onto the launch's folder.
func (f Folder) Path(elem ...string) string {
	return filepath.Join(append([]string{f.Root, "current", "satellite", f.SatelliteID, f.LaunchID}, elem...)...)
}

// blob gives the path of a blob in the launch's OCI layout.
func (f Folder) blob(digest string) string { return f.Path("bundle", "blobs", "sha256", hexOf(digest)) }

// shared gives the path of a blob that launches share by hard link.
func (f Folder) shared(digest string) string {
	return filepath.Join(f.Root, "blobs", "sha256", hexOf(digest))
}

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }

// make makes the folders that get writes to.
func (f Folder) make() error {
	for _, dir := range []string{f.Path("work"), f.Path("bundle", "blobs", "sha256"), f.Path("logs"), filepath.Join(f.Root, "blobs", "sha256")} {
		if err := os.MkdirAll(dir, dirMode); err != nil {
			return wrap(err, CodeFailed, "cannot write to %s; choose another folder with --deployment-dir or ALGO_DEPLOYMENT_DIR", f.Root)
		}
	}
	probe, err := os.CreateTemp(f.Path("work"), "probe-")
	if err != nil {
		return wrap(err, CodeFailed, "cannot write to %s; choose another folder with --deployment-dir or ALGO_DEPLOYMENT_DIR", f.Root)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// exists says how to make the folder when it is not there.
func (f Folder) exists() error {
	if _, err := os.Stat(f.Path("launch.json")); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err, f.Path())
	}
	return errorf(CodeFailed, "there is no launch in %s; download it first with 'algo-install satellite %s %s get', or name its folder with --deployment-dir",
		f.Path(), f.SatelliteID, f.LaunchID)
}

// unreadable says what to do about a folder that this user may not use.
func unreadable(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return errorf(CodeFailed, "%s belongs to another user: become that user, or copy it and name the copy with --deployment-dir", path)
	}
	return wrap(err, CodeFailed, "cannot use %s", path)
}

// writeFile writes a file so that a reader sees the old bytes or the new ones,
// also after a crash.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone after the rename
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), path) // CreateTemp gives mode 0600
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes renames in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// writeJSON writes value as a file; one that holds it already is left as it is.
func writeJSON(path string, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	data = append(data, '\n')
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return writeFile(path, data)
}

// readJSON reads a file into value; a file that is not there leaves it as it is.
func readJSON(path string, value any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, value)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
