package engine

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls never block, since every descriptor of the fast path is
// non-blocking: the runtime need not be told of them, which it would otherwise
// answer by starting threads for the loop's processor.

func rawRead(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // as x/sys/unix itself does
	return rawResult(n, errno)
}

func rawWrite(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // as above
	return rawResult(n, errno)
}

// rawPoll gives the events that are there already.
func rawPoll(ep int, events []unix.EpollEvent) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0) //nolint:gosec // as above
	if errno != 0 {
		return 0
	}
	return int(n)
}

// rawResult has the errors that are common without memory.
func rawResult(n uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		return 0, unix.EAGAIN
	case unix.EINTR:
		return 0, unix.EINTR
	}
	return 0, errno
}
