package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What the installer notes lies beside what strangers carry: whom it trusts,
// which configuration the operator took, which files it has hashed. A note
// counts only with a seal, a MAC under what this machine alone knows of itself
// and over the place where the note was made; one that travelled here with a
// folder has none that fits, and is as if it were not there.

// machineIDFile holds an ID that a machine is given when it is set up and that
// does not leave it.
const machineIDFile = "/etc/machine-id"

// sealKey is what seals of a folder are made with. A container has no ID of
// its own: there it is the file system, which a copied folder is not on.
func sealKey(dir string) []byte {
	if id, err := os.ReadFile(machineIDFile); err == nil {
		if id = bytes.TrimSpace(id); len(id) > 0 {
			return id
		}
	}
	return []byte(fileSystem(dir))
}

// fileSystem names the file system that a folder is on.
func fileSystem(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return ""
	}
	return fmt.Sprint(s.Fsid.Val)
}

// realPath is where a folder is, however it is called.
func realPath(dir string) string {
	if path, err := filepath.Abs(dir); err == nil {
		dir = path
	}
	if path, err := filepath.EvalSymlinks(dir); err == nil {
		dir = path
	}
	return dir
}

// sealOf seals what was noted for a purpose in a folder.
func sealOf(dir, purpose string, note []byte) string {
	mac := hmac.New(sha256.New, sealKey(dir))
	fmt.Fprintf(mac, "constellation %q in %q ", purpose, realPath(dir))
	mac.Write(note)
	return hex.EncodeToString(mac.Sum(nil))
}

// sealed is a note with its seal, as a file has it.
type sealed struct {
	Seal string          `json:"seal"`
	Note json.RawMessage `json:"note"`
}

// writeSealed writes a note that counts on this machine.
func (t Tree) writeSealed(name, purpose string, note any) error {
	data, err := json.Marshal(note)
	if err != nil {
		return fmt.Errorf("write %s: %w", t.Path(name), err)
	}
	return t.writeJSON(name, sealed{sealOf(t.top, purpose, data), data})
}

// readSealed reads a note, and reports whether it is there and was made here.
func (t Tree) readSealed(name, purpose string, note any) (ours bool, err error) {
	data, err := t.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", t.Path(name), err)
	}
	var s sealed
	var compact bytes.Buffer
	if json.Unmarshal(data, &s) != nil || json.Compact(&compact, s.Note) != nil {
		return false, nil
	}
	if !hmac.Equal([]byte(s.Seal), []byte(sealOf(t.top, purpose, compact.Bytes()))) {
		return false, nil
	}
	if err := json.Unmarshal(s.Note, note); err != nil {
		return false, fmt.Errorf("read %s: %w", t.Path(name), err)
	}
	return true, nil
}
