package runner

import (
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

// openFIFO opens the reading end, once for each reply: the end of the file
// then is the end of that reply.
func openFIFO(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open the FIFO %s: %w", path, err)
	}
	return fd, nil
}

// readFIFO reads one reply: to its writer's close, or to the end of a JSON
// value whose writer stays. When gone, which is a file that hangs up, does so
// first, what is there is the reply.
func readFIFO(fd, gone int) ([]byte, error) {
	var (
		reply   []byte
		end     ending
		tooLong bool
	)
	buf := make([]byte, 64<<10)
	wait := -1
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(gone), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, wait)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("wait for the reply: %w", err)
		}
		if n == 0 { // settled
			break
		}
		if fds[0].Revents == 0 { // only gone: all that will come is there, or in a child's hands
			fds = fds[:1]
			if n, _ := unix.Poll(fds, int(settle.Milliseconds())); n <= 0 {
				break
			}
		}
		n, err = unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the reply: %w", err)
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

func closeFD(fd int) { _ = unix.Close(fd) }
