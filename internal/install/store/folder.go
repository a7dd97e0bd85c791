package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/install/fault"
)

// DefaultRoot is DEPLOY_ROOT when nothing else is said.
const DefaultRoot = "/home/algo/deployment"

// Modes of what the installer writes: a bundle holds the launch's token.
const (
	DirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

// Folder is one launch's self-contained folder: all that the launch is can be copied
// with it.
type Folder struct {
	Root        string // DEPLOY_ROOT
	Work        string // where the installer keeps what it notes and renders; "" is Root, which then is written to
	SatelliteID string
	LaunchID    string
}

// notes are what the installer keeps of a launch beside its signed parts.
var notes = map[string]bool{"config.yaml": true, "work": true, "lock": true, "rendered": true, "logs": true}

// Path joins onto the launch's folder, which for notes is the one in Work.
func (f Folder) Path(elem ...string) string {
	return f.Tree(path.Join(elem...)).Path(path.Join(elem...))
}

// Tree is where a name of the launch's folder is.
func (f Folder) Tree(name string) Tree {
	first, _, _ := strings.Cut(name, "/")
	if notes[first] {
		return Tree{f.work(), f.below()}
	}
	return Tree{f.Root, f.below()}
}

// Original is the launch's folder below Root, with the notes that came with it.
func (f Folder) Original() Tree { return Tree{f.Root, f.below()} }

// below is the launch's folder within DEPLOY_ROOT. IDs that are none, and so
// could lead elsewhere, give a name at which there is never anything.
func (f Folder) below() string {
	if !bundle.IsID(f.SatelliteID) || !bundle.IsID(f.LaunchID) {
		return "current/satellite/none"
	}
	return path.Join("current/satellite", f.SatelliteID, f.LaunchID)
}

// fromRoot is the name that DEPLOY_ROOT has for one of the launch's folder.
func (f Folder) fromRoot(name string) string { return path.Join(f.below(), name) }

// work is where notes are.
func (f Folder) work() string {
	if f.Work != "" {
		return f.Work
	}
	return f.Root
}

// deployment is DEPLOY_ROOT, and workplace where the notes of all launches are.
func (f Folder) deployment() Tree { return Tree{top: f.Root} }
func (f Folder) workplace() Tree  { return Tree{top: f.work()} }

// ReadFile reads a file of the launch's folder. A note that is not in Work may
// be where the launch is.
func (f Folder) ReadFile(name string) ([]byte, error) {
	data, err := f.Tree(name).ReadFile(name)
	if f.Work != "" && errors.Is(err, fs.ErrNotExist) {
		return f.Original().ReadFile(name)
	}
	return data, err
}

// Stat describes a file of the launch's folder.
func (f Folder) Stat(name string) (fs.FileInfo, error) { return f.Tree(name).stat(name) }

// WriteFile writes a file, so that a reader sees the old bytes or the new ones,
// also after a crash.
func (f Folder) WriteFile(name string, data []byte) error { return f.Tree(name).writeFile(name, data) }

// WriteJSON writes a value as a file, unless the file holds it already.
func (f Folder) WriteJSON(name string, value any) error { return f.Tree(name).writeJSON(name, value) }

// ReadJSON reads a file into value; a file that is not there leaves it as it is.
func (f Folder) ReadJSON(name string, value any) error { return f.Tree(name).readJSON(name, value) }

// ReplaceFile is WriteFile without waiting for the disk, for what can be made
// again.
func (f Folder) ReplaceFile(name string, data []byte) error {
	return f.Tree(name).ReplaceFile(name, data)
}

// Remove removes a file.
func (f Folder) Remove(name string) error { return f.Tree(name).remove(name) }
func (f Folder) openFile(name string, flag int) (*os.File, error) {
	return f.Tree(name).openFile(name, flag)
}

// ReadNote reads a note, and reports whether it is there and was made on this
// machine for this purpose.
func (f Folder) ReadNote(name, purpose string, note any) (ours bool, err error) {
	return f.Tree(name).readSealed(name, purpose, note)
}

// ReadOriginalNote is ReadNote of what lies with the launch, where notes are
// kept elsewhere.
func (f Folder) ReadOriginalNote(name, purpose string, note any) (ours bool, err error) {
	return f.Original().readSealed(name, purpose, note)
}

// WriteNote writes a note that counts on this machine.
func (f Folder) WriteNote(name, purpose string, note any) error {
	return f.Tree(name).writeSealed(name, purpose, note)
}

const blobDir = "bundle/blobs/sha256"

// blobName is a blob's file in the launch's OCI layout. A digest that is none
// gives a name at which there is never anything.
func blobName(digest string) string { return "blobs/sha256/" + hexOf(digest) }

func inBundle(digest string) string { return "bundle/" + blobName(digest) }

// blob returns the path of a blob in the launch's OCI layout, for messages.
func (f Folder) blob(digest string) string { return f.Path(inBundle(digest)) }

// hexOf returns a digest's hex digits, the only part of one that names a file.
func hexOf(digest string) string {
	if !bundle.IsDigest(digest) {
		return "none"
	}
	return strings.TrimPrefix(digest, "sha256:")
}

// Make makes the folders that get writes to.
func (f Folder) Make() error {
	for _, dir := range []string{f.fromRoot("work"), f.fromRoot(blobDir), f.fromRoot("logs"), "blobs/sha256"} {
		if err := makeDir(f.deployment(), dir); err != nil {
			return unwritable(err, f.Root)
		}
	}
	const probe = "work/probe"
	file, err := f.openFile(probe, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return unwritable(err, f.Root)
	}
	err = f.Remove(probe)
	if errors.Is(err, fs.ErrNotExist) { // another get of this launch probed at the same time
		err = nil
	}
	return errors.Join(file.Close(), err)
}

// makeDir makes a folder below one that may not be there either.
func makeDir(t Tree, name string) error {
	if err := os.MkdirAll(t.top, DirMode); err != nil {
		return err
	}
	return t.MkdirAll(name)
}

// MakeNotes makes the folder of notes of one kind.
func (f Folder) MakeNotes(dir string) error {
	return makeDir(f.workplace(), path.Join(f.below(), dir))
}

// Exists returns how to make the folder when it is not there, nil when it is.
func (f Folder) Exists() error {
	if _, err := f.Stat("launch.json"); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return unreadable(err, f.Path())
	}
	return fault.Errorf(fault.CodeFailed, "there is no launch in %s; download it first with 'algo-install satellite %s %s get', or name its folder with --deployment-dir",
		f.Path(), f.SatelliteID, f.LaunchID)
}

// unreadable returns what to do about a folder that this user may not read.
func unreadable(err error, path string) error {
	if errors.Is(err, fs.ErrPermission) {
		return fault.Errorf(fault.CodeFailed, "%s %s, or copy it and name the copy with --deployment-dir", path, whose(path))
	}
	return fault.Wrap(err, fault.CodeFailed, "cannot use %s", path)
}

// unwritable returns what to do about a folder that cannot be written to: one on
// read-only media is other than one of somebody else's.
func unwritable(err error, path string) error {
	const other = "name a folder that can be written to, with --work-dir for a launch that is there, else with --deployment-dir or ALGO_DEPLOYMENT_DIR"
	switch {
	case errors.Is(err, syscall.EROFS):
		return fault.Errorf(fault.CodeFailed, "%s is on a read-only file system: %s", path, other)
	case errors.Is(err, fs.ErrPermission):
		return fault.Errorf(fault.CodeFailed, "cannot write to %s: it %s, or %s", path, whose(path), other)
	}
	return fault.Wrap(err, fault.CodeFailed, "cannot write to %s; choose another folder with --deployment-dir or ALGO_DEPLOYMENT_DIR", path)
}

// NoteError is the error of a note that could not be kept, nil when it was.
func (f Folder) NoteError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case unwritten(err):
		return unwritable(err, f.work())
	}
	return fault.Wrap(err, fault.CodeFailed, "%s", what)
}

// unwritten reports whether a note could not be kept because its place cannot
// be written to, which is no reason to stop for what only saves time.
func unwritten(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}

// whose returns in words to whom a path belongs that this user may not use.
func whose(path string) string {
	for {
		info, err := os.Stat(path)
		if err != nil && filepath.Dir(path) != path { // what we may not see is not ours either
			path = filepath.Dir(path)
			continue
		}
		stat, ok := (*syscall.Stat_t)(nil), false
		if err == nil {
			stat, ok = info.Sys().(*syscall.Stat_t)
		}
		if !ok || int(stat.Uid) == os.Geteuid() {
			return fmt.Sprintf("may not be used as it is: give yourself the right with 'chmod u+rwx %s'", path)
		}
		name := strconv.FormatUint(uint64(stat.Uid), 10)
		if u, err := user.LookupId(name); err == nil {
			name = u.Username
		}
		return fmt.Sprintf("belongs to another user, %s: become that user", name)
	}
}

// IsManifest reports whether a media type is a manifest's or an index's.
func IsManifest(mediaType string) bool {
	return strings.Contains(mediaType, "manifest") || strings.Contains(mediaType, "image.index")
}
