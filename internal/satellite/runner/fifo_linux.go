package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// How long a reply that may be over is waited for: a value that is complete
// while its writer keeps the FIFO open, and the rest of one whose writer is
// gone while another process still holds the FIFO.
const settle = 10 * time.Millisecond

// errReplyTooLarge is a reply that was longer than maxReply; it was read to
// its end.
var errReplyTooLarge = errors.New("the reply is too large")

// makeFIFO makes path a new FIFO that the process's user can write, so that
// nothing that an earlier process wrote can be in it.
func makeFIFO(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove what is at %s: %w", path, err)
	}
	if err := unix.Mkfifo(path, 0o644); err != nil {
		return fmt.Errorf("make the FIFO %s: %w", path, err)
	}
	return nil
}

// fifo is what a process writes its replies to.
type fifo struct {
	path string
	fd   int // -1 is closed

	// held says that the writer of the last reply had not closed the FIFO when
	// that reply was over: a busy machine may let it do so in the next call.
	held bool
}

// open opens the reading end, once for each reply: the end of the file then is
// the end of that reply.
func (f *fifo) open() error {
	fd, err := unix.Open(f.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the FIFO %s: %w", f.path, err)
	}
	f.close() // not before, so that nothing in between is lost
	f.fd = fd
	return nil
}

func (f *fifo) close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
	}
	f.fd = -1
}

// read reads one reply: to its writer's close, or to the end of a JSON value
// whose writer stays. When gone, which is a file that hangs up, does so first,
// what is there is the reply.
func (f *fifo) read(gone int) ([]byte, error) {
	var (
		reply   []byte
		end     ending
		tooLong bool
	)
	buf := make([]byte, 64<<10)
	wait := -1
	held := f.held
	f.held = false
	for {
		fds := []unix.PollFd{{Fd: int32(f.fd), Events: unix.POLLIN}, {Fd: int32(gone), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, wait)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for the reply: %w", err)
		}
		if n == 0 { // settled
			f.held = true
			break
		}
		if fds[0].Revents == 0 { // only gone: all that will come is there, or in a child's hands
			fds = fds[:1]
			if n, _ := unix.Poll(fds, int(settle.Milliseconds())); n <= 0 {
				break
			}
		}
		n, err = unix.Read(f.fd, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the reply: %w", err)
		}
		if n == 0 && held && len(bytes.TrimSpace(reply)) == 0 { // the last reply's writer is done
			held = false
			if err := f.open(); err != nil {
				return nil, err
			}
			continue
		}
		if n == 0 {
			break
		}
		if tooLong = tooLong || len(reply)+n > maxReply; tooLong {
			reply = nil
		} else {
			reply = append(reply, buf[:n]...)
		}
		if end.feed(buf[:n]) {
			wait = int(settle.Milliseconds())
		}
	}
	if tooLong {
		return nil, errReplyTooLarge
	}
	return reply, nil
}
