package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// accepting is the part of a loop that accepts connections.
type accepting struct {
	listener int // -1 when this loop does not accept
	deaf     bool
	said     time.Time // that there is no descriptor
}

const (
	// acceptAtMost is how many connections are taken in a row: others' calls
	// go on meanwhile.
	acceptAtMost = 64
	// When there are no descriptors, connections that have been idle for
	// longIdle make room, makeRoom of a loop at once.
	longIdle = time.Second
	makeRoom = 100
	sayEvery = 10 * time.Second
)

// hear makes the loop accept what comes to its listener.
func (l *loop) hear() {
	l.deaf = false
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.listener, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: listenerEvent})
}

// refuse ends listening.
func (l *loop) refuse() {
	if l.listener >= 0 {
		_ = unix.Close(l.listener)
		l.listener = -1
	}
}

// accept takes the connections that wait. Without a descriptor for one it
// stops listening until the next sweep, since the kernel would tell of it
// again at once, for ever.
func (l *loop) accept() {
	for range acceptAtMost {
		conn, _, err := unix.Accept4(l.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err { //nolint:errorlint // an errno, never wrapped
		case nil:
			l.f.adopt(conn)
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return
		default:
			_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, l.listener, nil)
			l.deaf = true
			if now := time.Now(); now.Sub(l.said) >= sayEvery {
				l.said = now
				l.e.log.Warn("connections cannot be accepted; idle ones are closed to make room", "error", err)
			}
			for _, other := range l.f.loops {
				other.post(other.closeLongIdle)
			}
			return
		}
	}
}

// acceptAgain listens again after a pause.
func (l *loop) acceptAgain() {
	if l.deaf && l.listener >= 0 {
		l.hear()
	}
}

// closeLongIdle closes connections whose callers say nothing.
func (l *loop) closeLongIdle() {
	closed := 0
	for cl, now := l.clients.next, time.Now(); cl != &l.clients && closed < makeRoom; {
		next := cl.next
		if cl.state == clientIdle && cl.in == nil && now.Sub(cl.since) > longIdle {
			l.closeClient(cl)
			closed++
		}
		cl = next
	}
}
