package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/terminal"
	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting run looks whether the lock is free.
const lockPoll = 200 * time.Millisecond

// namelessLooks is how many looks a run waits for who holds the lock to have
// written that down, before it says without a name that it waits.
const namelessLooks = 5

const lockName = "work/lock"

// Lock holds the launch's folder against other runs, on this machine and, when
// the file system can, on others. A second run waits and says for whom.
func (f Folder) Lock(ctx context.Context, verb string, report func(string, ...any)) (unlock func(), err error) {
	file, err := f.lockFile()
	if err != nil {
		return nil, unwritable(err, f.work())
	}
	return f.acquire(ctx, file, verb, report)
}

// LockToRead is Lock for what only reads the launch's folder. In one that this
// user cannot write to there may be nothing to wait for, and no way to.
func (f Folder) LockToRead(ctx context.Context, verb string, report func(string, ...any)) (unlock func(), err error) {
	file, err := f.lockFile()
	switch {
	case unwritten(err):
		return func() {}, nil
	case err != nil:
		return nil, unreadable(err, f.Path())
	}
	return f.acquire(ctx, file, verb, report)
}

func (f Folder) lockFile() (*os.File, error) {
	if err := f.MakeNotes("work"); err != nil {
		return nil, err
	}
	return f.openFile(lockName, os.O_RDWR|os.O_CREATE)
}

// acquire waits until the lock is ours.
func (f Folder) acquire(ctx context.Context, file *os.File, verb string, report func(string, ...any)) (unlock func(), err error) {
	path := f.Path(lockName)
	for look, said := 0, false; ; look++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(fault.Wrap(err, fault.CodeFailed, "lock %s", path), file.Close())
		}
		holder, _ := f.ReadFile(lockName)                                                           //nolint:errcheck // only to say who
		if who := terminal.OneLine(string(holder)); !said && (who != "" || look >= namelessLooks) { // it may only now be writing who it is
			report("waiting: %s holds this launch", cmp.Or(who, "another command"))
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), file.Close())
		case <-time.After(lockPoll):
		}
	}
	host, _ := os.Hostname() //nolint:errcheck // only to say who
	holder := fmt.Sprintf("'%s' by process %d on %s since %s\n", verb, os.Getpid(), host, time.Now().Format(time.TimeOnly))
	if err := errors.Join(file.Truncate(0), writeAt(file, holder)); err != nil {
		return nil, errors.Join(fault.Wrap(err, fault.CodeFailed, "lock %s", path), file.Close())
	}
	return func() {
		_ = file.Truncate(0) // the next to hold it may not have written who it is when a third one asks
		_ = file.Close()
	}, nil
}

func writeAt(file *os.File, s string) error {
	_, err := file.WriteAt([]byte(s), 0)
	return err
}
