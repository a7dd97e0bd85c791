package engine

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// carry gives the wire to an event loop, nil when there is none. The function
// waits until that has let go of a wire that was cut.
func (f *front) carry(w *wire) (stop func()) {
	if f == nil {
		return nil
	}
	l := f.loops[0]
	l.post(func() { l.addWire(w) })
	return func() {
		over := make(chan struct{})
		l.post(func() { l.endWire(w, w.cause); close(over) })
		select {
		case <-over:
		case <-l.ended:
		}
	}
}

func (l *loop) addWire(w *wire) {
	fd, err := descriptor(w.conn)
	if err == nil && (fd >= len(l.f.table) || l.stopping) {
		_ = unix.Close(fd)
		err = errors.New("there is no room for a link")
	}
	if err != nil {
		w.cut(err)
		return
	}
	s := &channel{fd: fd, wire: w}
	l.wires[w] = s
	if err := l.f.register(l, s); err != nil {
		l.endWire(w, err)
		return
	}
	w.mu.Lock()
	w.fd = fd
	w.flush()
	w.mu.Unlock()
	if early, _ := w.in.Peek(w.in.Buffered()); len(early) > 0 {
		if err := w.feed(early); err != nil {
			l.endWire(w, err)
		}
	}
}

// endWire closes the wire's descriptor, which nobody else does.
func (l *loop) endWire(w *wire, cause error) {
	w.cut(cause)
	w.mu.Lock()
	w.fd = -1
	w.mu.Unlock()
	if s := l.wires[w]; s != nil {
		delete(l.wires, w)
		l.f.drop(s)
	}
}

func (l *loop) wireEvent(w *wire, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		w.mu.Lock()
		w.flush()
		w.mu.Unlock()
	}
	for l.wires[w] != nil {
		n, err := rawRead(l.wires[w].fd, l.back)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err == nil && n <= 0:
			err = errHungUp
		case err == nil:
			err = w.feed(l.back[:n])
		}
		if err != nil {
			l.endWire(w, err)
			return
		}
		if n < len(l.back) && events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) == 0 {
			return // what comes later has an event of its own
		}
	}
}

// flush writes what goes, with w.mu held; the rest when there is room. That a
// write fails shows in reading.
func (w *wire) flush() {
	for len(w.out) > 0 && w.fd >= 0 {
		n, err := rawWrite(w.fd, w.out)
		if n > 0 {
			w.left = time.Since(w.made)
			w.out = append(w.out[:0], w.out[n:]...)
			continue
		}
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
