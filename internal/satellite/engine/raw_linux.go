package engine

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// These calls do not block, since every descriptor of the fast path is
// non-blocking: the runtime need not be told of them, which it would otherwise
// answer by starting threads for the loop's processor. Descriptors are
// sockets: recvfrom and sendto are shorter ways through the kernel than read
// and write.

func rawRead(fd int, p []byte) (int, error) { return rawReceive(fd, p, 0) }

// rawPeek reads what stays there for the next read.
func rawPeek(fd int, p []byte) (int, error) { return rawReceive(fd, p, unix.MSG_PEEK) }

func rawReceive(fd int, p []byte, flags uintptr) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0) //nolint:gosec // as x/sys/unix itself does
	return rawResult(n, errno)
}

func rawWrite(fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0) //nolint:gosec // as above
	return rawResult(n, errno)
}

// rawPoll gives the events that are there, or come within patience
// milliseconds. The runtime does not know that the loop waits: to stop it, it
// interrupts the wait with a signal, or waits for its end.
func rawPoll(ep int, events []unix.EpollEvent, patience int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(patience), 0, 0) //nolint:gosec // as above
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
