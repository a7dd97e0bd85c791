package engine

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// client is a caller's connection on the fast path, and the call it is making.
type client struct {
	src        channel
	l          *loop
	prev, next *client
	state      clientState
	since      time.Time // of the state
	in         *buffer   // a call that is not complete yet; nil when none
	more       bool      // something came while a call was going on
	ended      bool      // the caller sends no more
	gone       bool      // the caller left
	close      bool      // after this answer
	counted    bool      // the call is in the metrics

	cut     func() // ends an answer that a goroutine reads
	rest    []byte // of an answer that is being written
	restOut reply

	call
	body    *buffer
	waiter  waiter
	queued  time.Time
	started time.Time
	tries   int
	r       *replica
	up      *upstream
}

type clientState byte

const (
	clientIdle    clientState = iota // or reading a call
	clientWaiting                    // for a slot
	clientRunning                    // on a replica
	clientWriting                    // an answer
)

const (
	clientIdleFor  = 3 * time.Minute
	clientReadFor  = time.Second   // then net/http waits for the rest, with its time-outs
	clientWriteFor = writePatience // with nothing taken
)

func (l *loop) set(cl *client, s clientState) { cl.state, cl.since = s, l.at }

func (l *loop) clientEvent(cl *client, events uint32) {
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		cl.ended = true
		if cl.state != clientIdle && (events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 || !cl.answerComes()) {
			l.leave(cl)
			return
		}
	}
	if events&unix.EPOLLOUT != 0 && cl.state == clientWriting {
		l.writeRest(cl)
	}
	if events&unix.EPOLLIN != 0 {
		if cl.state == clientIdle {
			l.read(cl)
		} else {
			cl.more = true
		}
	}
}

// answerComes says whether the call ends in an answer without its caller's
// help: one who closed only their half may wait for it, and one who left
// costs no more than a write. Any other call of theirs is dropped.
func (cl *client) answerComes() bool {
	return cl.state == clientWriting || cl.state == clientRunning && cl.route.isLangserver()
}

// read reads what there is and starts the call when it is complete.
func (l *loop) read(cl *client) {
	for cl.state == clientIdle && cl.src.fd >= 0 {
		cl.more = false
		into := l.in
		if cl.in != nil {
			cl.in.grow(len(cl.in.b) + 4<<10)
			into = cl.in.b[len(cl.in.b):cap(cl.in.b)]
		}
		n, err := rawRead(cl.src.fd, into)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n <= 0:
			l.hungUp(cl)
			return
		}
		data := into[:n]
		if cl.in != nil {
			cl.in.b = cl.in.b[:len(cl.in.b)+n]
			data = cl.in.b
		}
		l.consume(cl, data)
		if n < len(into) && !cl.ended {
			return
		}
		cl.more = true
	}
}

// hungUp is a caller who closed between calls, or in the middle of sending
// one: that is net/http's to tell.
func (l *loop) hungUp(cl *client) {
	if cl.in != nil && len(cl.in.b) > 0 {
		l.handOver(cl, cl.in.b)
		return
	}
	l.closeClient(cl)
}

// consume starts the call that data is, waits for more of it, or gives the
// connection to net/http.
func (l *loop) consume(cl *client, data []byte) {
	var h callHead
	switch parseCall(data, &h) {
	case headOther:
		l.handOver(cl, data)
		return
	case headPlain:
		if whole := h.end + h.length; len(data) == whole {
			l.begin(cl, data, &h)
			return
		} else if len(data) > whole { // pipelined
			l.handOver(cl, data)
			return
		}
	case headPartial:
	}
	if cl.in == nil {
		cl.in = newBuffer(len(data) + 4<<10)
		cl.in.b = append(cl.in.b, data...)
		cl.since = l.at
	}
}

// handOver gives the connection to net/http, with what was read.
func (l *loop) handOver(cl *client, data []byte) {
	fd := cl.src.fd
	l.f.table[fd].CompareAndSwap(&cl.src, nil)
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
	cl.src.fd = -1
	l.f.handOver(fd, data)
	cl.in.release()
	cl.in = nil
	l.remove(cl)
}

// closeClient closes the connection. A call that goes on without its caller
// keeps the client until it ends.
func (l *loop) closeClient(cl *client) {
	l.f.drop(&cl.src)
	cl.in.release()
	cl.in = nil
	cl.rest = nil
	cl.restOut.release()
	if cl.state != clientWaiting && cl.state != clientRunning {
		l.remove(cl)
	}
}

// leave is a caller who left during a call.
func (l *loop) leave(cl *client) {
	if cl.gone {
		return
	}
	cl.gone, cl.ended = true, true
	switch cl.state {
	case clientWaiting:
		if cl.route.pool.cancel(&cl.waiter) {
			l.answer(cl, nil, cl.notServed(errCallerGone))
		}
	case clientRunning:
		if cl.up != nil && !cl.route.isLangserver() {
			l.endExchange(cl, false)
			cl.run = l.at.Sub(cl.started)
			cl.give(verdictFine)
			l.answer(cl, nil, cl.notServed(errCallerGone))
		} else if cl.cut != nil && !cl.route.isLangserver() {
			cl.cut()
		}
	case clientWriting:
		l.finishCall(cl, nil)
		l.closeClient(cl)
	}
	if cl.src.fd >= 0 {
		l.f.drop(&cl.src)
	}
}

func (l *loop) sweepClient(cl *client, now time.Time) {
	switch cl.state {
	case clientIdle:
		switch age := now.Sub(cl.since); {
		case cl.in != nil && age > clientReadFor:
			l.handOver(cl, cl.in.b)
		case age > clientIdleFor:
			l.closeClient(cl)
		}
	case clientWaiting:
		if now.After(cl.deadline()) && cl.route.pool.cancel(&cl.waiter) {
			err := errWaitedOut
			if !cl.route.pool.usable() {
				err = errNoReplica
			}
			cl.wait = now.Sub(cl.queued)
			l.answer(cl, nil, cl.notServed(err))
		}
	case clientRunning:
		if cl.up != nil && now.After(cl.deadline()) {
			l.endExchange(cl, false)
			cl.run = now.Sub(cl.started)
			cl.give(l.e.timedOutOn(&cl.call, cl.r))
			l.answer(cl, nil, timedOut())
		}
	case clientWriting:
		if now.Sub(cl.since) > clientWriteFor {
			l.leave(cl)
		}
	}
}
