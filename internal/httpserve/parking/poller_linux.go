package parking

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const supported = true

// poller is an epoll instance that Go's own poller waits for: no thread does.
type poller struct {
	file *os.File
	raw  syscall.RawConn
}

func newPoller() (poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return poller{}, fmt.Errorf("make an epoll instance: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return poller{}, fmt.Errorf("make an epoll instance: %w", err)
	}
	p := poller{file: os.NewFile(uintptr(fd), "epoll")}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		_ = p.file.Close()
		return poller{}, fmt.Errorf("wait for an epoll instance: %w", err)
	}
	return p, nil
}

// add watches a descriptor for one event, until remove.
func (p poller) add(fd int32) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLONESHOT)
}

func (p poller) remove(fd int32) { _ = p.control(unix.EPOLL_CTL_DEL, fd, 0) }

func (p poller) control(operation int, fd int32, events uint32) error {
	var failed error
	err := p.raw.Control(func(epoll uintptr) {
		failed = unix.EpollCtl(int(epoll), operation, int(fd), &unix.EpollEvent{Events: events, Fd: fd})
	})
	return errors.Join(err, failed)
}

// run calls ready with each descriptor on which something happened, once, until
// the poller is closed.
func (p poller) run(ready func(fd int32)) {
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		err := p.raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0) // an interruption has no events
			return n > 0
		})
		if err != nil {
			return
		}
		for _, ev := range events[:max(0, n)] {
			ready(ev.Fd)
		}
	}
}

func (p poller) close() { _ = p.file.Close() }
