package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting run looks whether the lock is free.
const lockPoll = 200 * time.Millisecond

// namelessLooks is how many looks a run waits for who holds the lock to have
// written that down, before it says without a name that it waits.
const namelessLooks = 5

// lock holds the launch's folder against other runs, on this machine and, when
// the file system can, on others. A second run waits and says for whom.
func (f Folder) lock(ctx context.Context, verb string, report func(string, ...any)) (unlock func(), err error) {
	path := f.Path("work", "lock")
	if err := os.MkdirAll(f.Path("work"), dirMode); err != nil {
		return nil, unreadable(err, f.Path())
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, unreadable(err, f.Path())
	}
	for look, said := 0, false; ; look++ {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errors.Join(wrap(err, CodeFailed, "lock %s", path), file.Close())
		}
		holder, _ := os.ReadFile(path)                                                               //nolint:errcheck // only to say who
		if who := strings.TrimSpace(string(holder)); !said && (who != "" || look >= namelessLooks) { // it may only now be writing who it is
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
		return nil, errors.Join(wrap(err, CodeFailed, "lock %s", path), file.Close())
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
