package private

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/internal/constellation"
)

// holder is who has the data dir's lock, as the lock file says.
type holder struct {
	PID  int    `json:"pid"`
	Mode Mode   `json:"mode"`
	URL  string `json:"url,omitempty"` // once its PostgreSQL accepts connections
}

// lock is the data dir's lock. The kernel frees it with the process, however
// that ends, so a lock file left behind means nothing by itself.
type lock struct {
	file *os.File
	me   holder
}

// acquire takes the data dir's lock. When a serve holds it and a command
// asks, it returns no lock but the holder, whose server accepts connections.
func acquire(ctx context.Context, o Options) (*lock, holder, error) {
	path := filepath.Join(o.Dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, holder{}, dataDirError(o.Dir, err)
	}
	said, since := false, time.Now()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			l := &lock{file: file, me: holder{PID: os.Getpid(), Mode: o.Mode}}
			return l, holder{}, l.write()
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = file.Close() // only a lock, and not ours
			return nil, holder{}, dataDirError(o.Dir, err)
		}
		h := readHolder(path)
		if done, err := h.settle(ctx, o, time.Since(since)); done {
			_ = file.Close() // only a lock, and not ours
			return nil, h, err
		}
		if !said {
			o.Log.Info("waiting for another mothership command to release the data dir", "dir", o.Dir, "pid", h.PID)
			said = true
		}
		if pause(ctx, 25*time.Millisecond) != nil {
			_ = file.Close() // only a lock, and not ours
			return nil, holder{}, constellation.Wrap(ctx.Err(), constellation.KindUnavailable,
				"the data dir %s is still in use by PID %d (%s); try again when it has ended", o.Dir, h.PID, h.Mode)
		}
	}
}

// grace is how long a serve waits for another: one that was just killed may
// still be on its way out.
const grace = time.Second

// settle reports whether there is no point in waiting for the lock h holds: it
// is a serve, which one of our mode is refused (the error) or may use (nil).
func (h holder) settle(ctx context.Context, o Options, waited time.Duration) (bool, error) {
	if h.Mode != ModeServe || o.Mode == ModeServe && waited < grace {
		return false, nil
	}
	if o.Mode == ModeServe {
		return true, constellation.Errorf(constellation.KindConflict,
			"the data dir %s is in use by mothership serve, PID %d; stop that one or give another --data-dir", o.Dir, h.PID)
	}
	return h.URL != "" && ping(ctx, h.URL) == nil, nil
}

func readHolder(path string) holder {
	var h holder
	if raw, err := os.ReadFile(path); err == nil {
		// A holder that is just writing is read again by the next round.
		if json.Unmarshal(raw, &h) != nil {
			return holder{}
		}
	}
	return h
}

// announce publishes to waiting commands where the server listens.
func (l *lock) announce(url string) error {
	l.me.URL = url
	return l.write()
}

func (l *lock) write() error {
	raw, err := json.Marshal(l.me)
	if err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	if _, err := l.file.WriteAt(append(raw, '\n'), 0); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	return nil
}

// release frees the lock. The file stays: removing it would let two others
// lock two different files of that name.
func (l *lock) release() error {
	err := l.file.Truncate(0)
	if closeErr := l.file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("release the data dir: %w", err)
	}
	return nil
}
