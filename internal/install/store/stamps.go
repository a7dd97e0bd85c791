package store

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"github.com/constellation-serving/constellation/internal/install/fault"
)

// stamp is how a file was when its hash was last right.
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

// trustedStamp is the size from which a stamp is worth having: what is smaller
// is hashed whenever it is looked at.
const trustedStamp = 4 << 20

// spares reports whether a file need not be hashed again.
func (s stamp) spares(info fs.FileInfo) bool { return info.Size() > trustedStamp && s == stampOf(info) }

const (
	verifiedFile = "work/verified.json"
	journalFile  = "work/journal"
)

// stampPurpose ties stamps to the file system that their files are on: a disk
// that is carried has other inodes elsewhere, or the same by chance.
func (f Folder) stampPurpose() string {
	return "stamps of " + f.SatelliteID + "/" + f.LaunchID + " on " + fileSystem(f.Root)
}

// journal notes each blob that arrived, so that a run after a killed one need
// not hash them again. It is only read when the launch is not complete.
type journal struct {
	folder Folder
	mu     sync.Mutex
	file   *os.File
}

func openJournal(f Folder) (*journal, error) {
	file, err := f.openFile(journalFile, os.O_WRONLY|os.O_CREATE|os.O_APPEND)
	if err != nil {
		return nil, fault.Wrap(err, fault.CodeFailed, "write the journal")
	}
	return &journal{folder: f, file: file}, nil
}

// note adds a blob that is right and in its place.
func (j *journal) note(digest string) error {
	info, err := j.folder.Stat(inBundle(digest))
	if err != nil {
		return fault.Wrap(err, fault.CodeFailed, "store blob %s", digest)
	}
	line := journalLine(digest, stampOf(info))
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintln(j.file, line, j.folder.sealLine(line)); err != nil {
		return fault.Wrap(err, fault.CodeFailed, "write the journal")
	}
	return nil
}

func journalLine(digest string, s stamp) string {
	return fmt.Sprintf("%s %d %d %d", digest, s.Size, s.Time, s.Inode)
}

func (f Folder) sealLine(line string) string { return sealOf(f.work(), f.stampPurpose(), []byte(line)) }

func (j *journal) close() { _ = j.file.Close() }

// readStamps returns what this machine knows to be right of a launch's blobs. A
// note that is damaged, or of another machine, only costs time.
func readStamps(f Folder) map[string]stamp {
	seen := map[string]stamp{}
	if ours, err := f.Tree(verifiedFile).readSealed(verifiedFile, f.stampPurpose(), &seen); err != nil || !ours {
		seen = map[string]stamp{}
	}
	file, err := f.openFile(journalFile, os.O_RDONLY)
	if err != nil {
		return seen
	}
	defer file.Close() //nolint:errcheck // read only
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var digest, seal string
		var s stamp
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d %d %s", &digest, &s.Size, &s.Time, &s.Inode, &seal); err == nil && seal == f.sealLine(journalLine(digest, s)) {
			seen[digest] = s
		}
	}
	return seen
}

// RememberVerified notes how files that are right look, in place of the
// journal. Where nothing can be written, that only costs time.
func (l *Launch) RememberVerified() error {
	f := l.Folder
	seen := map[string]stamp{}
	for digest := range l.digests() {
		if info, err := f.Stat(inBundle(digest)); err == nil && info.Size() > trustedStamp {
			seen[digest] = stampOf(info)
		}
	}
	err := f.writeStamps(seen)
	if err != nil && !unwritten(err) {
		return fault.Wrap(err, fault.CodeFailed, "note what was checked")
	}
	return nil
}

func (f Folder) writeStamps(seen map[string]stamp) error {
	if err := f.MakeNotes("work"); err != nil {
		return err
	}
	if err := f.Tree(verifiedFile).writeSealed(verifiedFile, f.stampPurpose(), seen); err != nil {
		return err
	}
	if err := f.Remove(journalFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// forget takes damaged files out of the notes, so that get fetches them again.
func forget(f Folder, digests []string) {
	seen := readStamps(f)
	for _, digest := range digests {
		delete(seen, digest)
	}
	_ = f.writeStamps(seen) // without them, all is hashed again
}
