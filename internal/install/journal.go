package install

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// stamp is how a file was when its hash was last right. A copy on another
// disk or machine has another inode, and so is hashed there once.
type stamp struct {
	Size  int64  `json:"size"`
	Time  int64  `json:"time"`
	Inode uint64 `json:"inode"`
}

func stampOf(info fs.FileInfo) stamp {
	s := stamp{Size: info.Size(), Time: info.ModTime().UnixNano()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.Inode = stat.Ino
	}
	return s
}

func verifiedFile(f Folder) string { return f.Path("work", "verified.json") }
func journalFile(f Folder) string  { return f.Path("work", "journal") }

// journal notes each blob that arrived, so that a run after a killed one need
// not hash them again. It is only read when the launch is not complete.
type journal struct {
	folder Folder
	mu     sync.Mutex
	file   *os.File
}

func openJournal(f Folder) (*journal, error) {
	file, err := os.OpenFile(journalFile(f), os.O_WRONLY|os.O_CREATE|os.O_APPEND, fileMode)
	if err != nil {
		return nil, wrap(err, CodeFailed, "write the journal")
	}
	return &journal{folder: f, file: file}, nil
}

// note adds a blob that is right and in its place.
func (j *journal) note(digest string) error {
	info, err := os.Stat(j.folder.blob(digest))
	if err != nil {
		return wrap(err, CodeFailed, "store blob %s", digest)
	}
	s := stampOf(info)
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintf(j.file, "%s %d %d %d\n", digest, s.Size, s.Time, s.Inode); err != nil {
		return wrap(err, CodeFailed, "write the journal")
	}
	return nil
}

func (j *journal) close() { _ = j.file.Close() }

// readStamps gives what is known to be right of a launch's blobs. A damaged
// note only costs time.
func readStamps(f Folder) map[string]stamp {
	seen := map[string]stamp{}
	if err := readJSON(verifiedFile(f), &seen); err != nil {
		seen = map[string]stamp{}
	}
	file, err := os.Open(journalFile(f))
	if err != nil {
		return seen
	}
	defer file.Close() //nolint:errcheck // read only
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var digest string
		var s stamp
		if n, err := fmt.Sscanf(lines.Text(), "%s %d %d %d", &digest, &s.Size, &s.Time, &s.Inode); err == nil && n == 4 {
			seen[digest] = s
		}
	}
	return seen
}

// rememberVerified notes how files that are right look, in place of the
// journal.
func rememberVerified(f Folder, l *launch) error {
	seen := map[string]stamp{}
	for digest := range l.digests() {
		if info, err := os.Stat(f.blob(digest)); err == nil {
			seen[digest] = stampOf(info)
		}
	}
	if err := writeJSON(verifiedFile(f), seen); err != nil {
		return wrap(err, CodeFailed, "note what was checked")
	}
	if err := os.Remove(journalFile(f)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return wrap(err, CodeFailed, "note what was checked")
	}
	return nil
}
