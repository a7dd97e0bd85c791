package eventloop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported is whether this system has event loops.
const Supported = true

// maxFiles bounds the table of connections.
const maxFiles = 1 << 20

// maxSockets returns how many descriptors the process may have, at most.
func maxSockets() int {
	var limit unix.Rlimit
	files := uint64(1 << 16)
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		files = limit.Max
	}
	return int(min(files, maxFiles)) //nolint:gosec // at most maxFiles
}

// event is an epoll event. Fd is its descriptor and Pad the connection's
// generation.
type event = unix.EpollEvent

// Events are what a connection is ready for.
type Events uint32

// Readable reports whether there may be something to read.
func (e Events) Readable() bool { return e&unix.EPOLLIN != 0 }

// Writable reports whether something may be written.
func (e Events) Writable() bool { return e&unix.EPOLLOUT != 0 }

// Ended reports whether the other side sends no more.
func (e Events) Ended() bool { return e&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Broken reports whether the connection ended in both directions.
func (e Events) Broken() bool { return e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// poller is an epoll instance with an eventfd that wakes it.
type poller struct{ epoll, wake int }

func newPoller() (poller, error) {
	p := poller{-1, -1}
	var err error
	if p.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return p, err
	}
	if p.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		_ = unix.Close(p.epoll)
		return p, err
	}
	if err = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, p.wake, &event{Events: unix.EPOLLIN, Fd: wakeEvent}); err != nil {
		p.close()
	}
	return p, err
}

func (p poller) close() { _, _ = unix.Close(p.epoll), unix.Close(p.wake) }

func (p poller) add(s Socket, generation int32) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, int(s), &event{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(s), Pad: generation, //nolint:gosec // a descriptor
	})
}

func (p poller) addListener(s Socket) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, int(s), &event{Events: unix.EPOLLIN, Fd: listenerEvent})
}

func (p poller) remove(s Socket) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, int(s), nil) }

func (p poller) wakeUp() { _, _ = unix.Write(p.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

func (p poller) drainWake() {
	var b [8]byte
	_, _ = unix.Read(p.wake, b[:])
}

func (p poller) wait(events []event, milliseconds int) (int, error) {
	n, err := unix.EpollWait(p.epoll, events, milliseconds)
	if errors.Is(err, unix.EINTR) {
		err = nil
	}
	return n, err
}

// The calls below do not block, since every descriptor is non-blocking: the
// runtime need not be told of them, which it would otherwise answer by starting
// threads for the loop's processor. Descriptors are sockets: recvfrom and
// sendto are shorter ways through the kernel than read and write.

// poll returns the events that are there, or come within some milliseconds. The
// runtime does not know that the loop waits: to stop it, it interrupts the wait
// with a signal, or waits for its end.
func (p poller) poll(events []event, milliseconds int) int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), uintptr(milliseconds), 0, 0) //nolint:gosec // as x/sys/unix itself does
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (s Socket) receive(p []byte) (int, error) {
	n, err := s.receiveFlags(p, 0)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

func (s Socket) isQuiet() bool {
	var b [1]byte
	_, err := s.receiveFlags(b[:], unix.MSG_PEEK)
	return IsAgain(err)
}

func (s Socket) receiveFlags(p []byte, flags uintptr) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0) //nolint:gosec // as x/sys/unix itself does
		if errno != unix.EINTR {
			return result(n, errno)
		}
	}
}

func (s Socket) send(p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0) //nolint:gosec // as above
		if errno != unix.EINTR {
			return result(n, errno)
		}
	}
}

func (s Socket) sendAll(parts [][]byte) (int, error) {
	for {
		n, err := unix.Writev(int(s), parts)
		switch err { //nolint:errorlint // an errno, never wrapped
		case nil:
			return n, nil
		case unix.EAGAIN:
			return 0, errAgain
		case unix.EINTR:
		default:
			return 0, err
		}
	}
}

// result returns the most common error without an allocation.
func result(n uintptr, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return int(n), nil
	case unix.EAGAIN:
		return 0, errAgain
	}
	return 0, errno
}

func accept(listener Socket) (Socket, error) {
	fd, _, err := unix.Accept4(int(listener), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch err { //nolint:errorlint // an errno, never wrapped
	case nil:
		return Socket(fd), nil
	case unix.EINTR, unix.ECONNABORTED:
		return noSocket, errAborted
	case unix.EAGAIN:
		return noSocket, errAgain
	}
	return noSocket, err
}

// Close closes the socket, which no Conn has.
func (s Socket) Close() { _ = unix.Close(int(s)) }

// NetConn returns the socket, which no Conn has, as a net.Conn.
func (s Socket) NetConn() (net.Conn, error) {
	file := os.NewFile(uintptr(s), "tcp")
	defer func() { _ = file.Close() }()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, fmt.Errorf("take over a connection: %w", err)
	}
	return conn, nil
}

// tune sets what Go sets on its own connections.
func (s Socket) tune() {
	_ = unix.SetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = unix.SetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	_ = unix.SetsockoptInt(int(s), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
}

func (s Socket) remoteHost() string {
	address, err := unix.Getpeername(int(s))
	if err != nil {
		return ""
	}
	switch a := address.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr).String()
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap().String()
	}
	return ""
}

// duplicate returns a second descriptor of what conn has.
func duplicate(conn syscall.Conn) (Socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return noSocket, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return Socket(fd), errors.Join(err, dupErr)
}
