package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// upstream is the fast path's connection to a replica. It belongs to the loop
// whose call uses it, or, when idle, to whoever takes it out of the replica's
// list.
type upstream struct {
	src    channel
	l      *loop
	r      *replica
	cl     *client // whose call it carries; nil when idle
	in     *buffer // an answer that is not complete yet
	rest   *buffer // of a call that is being sent
	sent   int
	reused bool
	used   time.Time
}

// begin starts a complete call.
func (l *loop) begin(cl *client, data []byte, h *callHead) {
	body := newBuffer(h.length)
	body.b = append(body.b, data[h.end:]...)
	cl.call = call{id: requestID(string(h.requestID)), start: l.at, status: http.StatusOK}
	cl.waiter, cl.tries, cl.counted, cl.close, cl.body = waiter{}, 0, false, h.close, body
	f := l.e.admit(&cl.call, &asking{
		method: http.MethodPost, path: string(h.path), query: string(h.query),
		authorization: h.authorization, contentType: mediaName(h.contentType), encoding: string(h.encoding),
		traceparent: string(h.traceparent), tracestate: string(h.tracestate),
	})
	cl.in.release()
	cl.in = nil
	if f == nil {
		f = cl.checkBody(body)
	}
	if f != nil {
		l.answer(cl, nil, f)
		return
	}
	cl.queued = cl.start
	l.acquire(cl)
}

// mediaName makes a string of a Content-Type, the common ones without memory.
func mediaName(b []byte) string {
	switch string(b) {
	case mediaJSON:
		return mediaJSON
	case mediaText:
		return mediaText
	case mediaBinary:
		return mediaBinary
	}
	return string(b)
}

// acquire asks the pool for a slot.
func (l *loop) acquire(cl *client) {
	l.set(cl, clientWaiting)
	cl.waiter = waiter{to: cl, key: cl.keyID, again: cl.tries > 0}
	cl.tries++
	r, err := cl.route.pool.acquire(&cl.waiter)
	if r != nil || err != nil {
		l.onGrant(cl, r, err)
	}
}

// granted is the pool's word, on any goroutine.
func (cl *client) granted(r *replica, err error) {
	cl.l.deliver(letter{to: cl, r: r, err: err})
}

func (l *loop) onGrant(cl *client, r *replica, err error) {
	cl.started = l.at
	cl.wait = cl.started.Sub(cl.queued)
	if err == nil && cl.gone {
		cl.route.pool.release(r, verdictFine)
		err = errCallerGone
	}
	if err != nil {
		l.answer(cl, nil, cl.notServed(err))
		return
	}
	cl.r = r
	cl.replica = r.addr
	r.runs(&cl.call)
	l.set(cl, clientRunning)
	for up := r.takeSwift(l); up != nil; up = r.takeSwift(l) {
		up = l.own(up)
		if (cl.started.Sub(up.used) < trustFor || quiet(up.src.fd)) && l.send(cl, up) {
			return
		}
		l.f.drop(&up.src)
	}
	l.dial(cl)
}

// trustFor is how long a connection is used again without looking whether the
// replica closed it: when it does, the loop has an event of it by then.
const trustFor = 2 * time.Millisecond

// quiet says whether an idle connection can be used: the replica has neither
// closed it nor sent anything.
func quiet(fd int) bool {
	var b [1]byte
	_, err := rawPeek(fd, b[:])
	return errors.Is(err, unix.EAGAIN)
}

// own gives a connection that was taken as this loop's. What another loop has
// of it is left as it was: that loop may be looking at it in this moment.
func (l *loop) own(taken *upstream) *upstream {
	if taken.l == l {
		return taken
	}
	fd := taken.src.fd
	if taken.l != nil {
		l.f.table[fd].CompareAndSwap(&taken.src, nil)
		_ = unix.EpollCtl(taken.l.ep, unix.EPOLL_CTL_DEL, fd, nil)
	}
	up := &upstream{l: l, r: taken.r, reused: taken.reused, used: taken.used, src: channel{fd: fd}}
	up.src.up = up
	if l.f.register(l, &up.src) != nil {
		l.f.drop(&up.src) // and what is sent on it fails
	}
	return up
}

// dial connects to the call's replica, on a goroutine.
func (l *loop) dial(cl *client) {
	r, deadline := cl.r, cl.deadline()
	go func() {
		r.closeOneIdle()
		conn, err := r.dial(l.e.background, deadline)
		fd := -1
		if err == nil {
			fd, err = descriptor(conn)
		}
		l.post(func() { l.guard(cl, func() { l.dialed(cl, fd, err) }) })
	}()
}

// descriptor takes the descriptor out of a connection.
func descriptor(conn net.Conn) (int, error) {
	defer func() { _ = conn.Close() }()
	if read, ok := conn.(*readConn); ok && len(read.data) == 0 {
		conn = read.Conn
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1, errors.New("the connection is not plain TCP")
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, dupErr := -1, error(nil)
	err = raw.Control(func(old uintptr) { fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, dupErr)
}

func (l *loop) dialed(cl *client, fd int, err error) {
	switch {
	case err != nil:
	case fd >= len(l.f.table):
		_ = unix.Close(fd)
		err = errors.New("too many open files")
	case cl.gone:
		_ = unix.Close(fd)
		err = errCallerGone
	default:
		up := l.own(&upstream{r: cl.r, src: channel{fd: fd}})
		if l.send(cl, up) {
			return
		}
		l.f.drop(&up.src)
		err = errors.New("the connection ended at once")
	}
	l.notStarted(cl, err)
}

// give gives the call's slot back, once.
func (cl *client) give(v verdict) {
	if r := cl.r; r != nil {
		cl.r = nil
		cl.route.pool.release(r, v)
	}
}

// notStarted is a call of which no replica got a byte: another one is asked.
func (l *loop) notStarted(cl *client, err error) {
	cl.run = l.at.Sub(cl.started)
	switch {
	case cl.gone:
		cl.give(verdictFine)
		l.answer(cl, nil, cl.notServed(errCallerGone))
	case !l.at.Before(cl.deadline()):
		cl.give(verdictFine)
		l.answer(cl, nil, timedOut())
	default:
		l.e.log.Warn("the replica refused the connection", "request_id", cl.id, "algorithm", cl.route.VanityURL, "replica", cl.replica, "error", err)
		cl.give(verdictRefused)
		l.acquire(cl)
	}
}

// send writes the call; false when not one byte of it went out.
func (l *loop) send(cl *client, up *upstream) bool {
	l.out = cl.appendHead(l.out[:0], up.r.addr, len(cl.body.b))
	l.out = append(l.out, cl.body.b...)
	n, err := rawWrite(up.src.fd, l.out)
	if n < 0 {
		n = 0
	}
	if n == 0 && err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		return false
	}
	up.cl, cl.up = cl, up
	if n < len(l.out) {
		up.rest = newBuffer(len(l.out) - n)
		up.rest.b = append(up.rest.b, l.out[n:]...)
		up.sent = 0
	}
	return true
}

func (l *loop) upstreamEvent(cl *client, up *upstream, events uint32) {
	if events&unix.EPOLLOUT != 0 && up.rest != nil {
		n, err := rawWrite(up.src.fd, up.rest.b[up.sent:])
		if err == nil {
			up.sent += n
		}
		if up.sent == len(up.rest.b) {
			up.rest.release()
			up.rest = nil
		}
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		l.readAnswer(cl, up)
	}
}

// readAnswer reads what there is of a replica's answer.
func (l *loop) readAnswer(cl *client, up *upstream) {
	for cl.up == up {
		into := l.back
		if up.in != nil {
			up.in.grow(len(up.in.b) + 8<<10)
			into = up.in.b[len(up.in.b):cap(up.in.b)]
		}
		n, err := rawRead(up.src.fd, into)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil || n <= 0:
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			l.broken(cl, fmt.Errorf("read the replica's answer: %w", err))
			return
		}
		data := into[:n]
		if up.in != nil {
			up.in.b = up.in.b[:len(up.in.b)+n]
			data = up.in.b
		}
		l.consumeAnswer(cl, up, data)
	}
}

func (l *loop) consumeAnswer(cl *client, up *upstream, data []byte) {
	var h answerHead
	state := parseAnswer(data, &h)
	switch whole := h.end + h.length; {
	case state == headOther, state == headPlain && h.length > 4*maxPlainBody:
		l.slowAnswer(cl, up, data)
		return
	case state == headPlain && len(data) >= whole:
		l.lent = buffer{b: data[h.end:whole], lent: true}
		a := answer{status: h.status, contentType: mediaName(h.contentType), body: &l.lent}
		// The answer's bytes are the loop's or up.in's: they are used up
		// before the next call may overwrite them.
		in := up.in
		up.in = nil
		l.endExchange(cl, !h.close && up.rest == nil && len(data) == whole)
		l.ran(cl, a)
		in.release()
		return
	}
	if up.in == nil {
		up.in = newBuffer(max(len(data)+8<<10, h.end+h.length))
		up.in.b = append(up.in.b, data...)
	}
}

// endExchange parts the call from its connection, which is kept or closed.
func (l *loop) endExchange(cl *client, keep bool) {
	up := cl.up
	cl.up, up.cl = nil, nil
	up.in.release()
	up.rest.release()
	up.in, up.rest = nil, nil
	if keep && up.r.keepSwift(up) {
		return
	}
	l.f.drop(&up.src)
}

// ran answers the caller with what the replica answered.
func (l *loop) ran(cl *client, a answer) {
	cl.run = l.at.Sub(cl.started)
	res, f := cl.read(a)
	cl.give(verdictFine)
	var out reply
	if f == nil {
		out, f = cl.reply(&res)
		res.body.release()
	}
	if f != nil {
		out.release()
		l.answer(cl, nil, f)
		return
	}
	l.answer(cl, &out, nil)
}

// broken is an exchange that ended before its answer did: the call may have
// run, and is not tried again.
func (l *loop) broken(cl *client, err error) {
	l.endExchange(cl, false)
	cl.run = l.at.Sub(cl.started)
	cl.give(verdictFine)
	l.answer(cl, nil, lost(err))
}

// slowAnswer reads an answer that is not plain as any other call's: on a
// goroutine, with net/http.
func (l *loop) slowAnswer(cl *client, up *upstream, data []byte) {
	fd := up.src.fd
	l.f.table[fd].CompareAndSwap(&up.src, nil)
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
	up.src.fd = -1
	data = append([]byte(nil), data...)
	l.endExchange(cl, false)
	deadline, limit := cl.deadline(), cl.replyLimit()
	finish := func(a answer, err error) {
		l.post(func() { l.guard(cl, func() { l.slowlyAnswered(cl, a, err) }) })
	}
	conn, err := netConn(fd)
	if err != nil {
		finish(answer{}, err)
		return
	}
	ctx, cancel := context.WithDeadline(l.e.background, deadline)
	cl.cut = cancel
	go func() {
		defer cancel()
		defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
		c := &readConn{Conn: conn, data: data}
		a, _, err := readAnswer(bufio.NewReader(c), limit)
		_ = conn.Close()
		if err != nil && !time.Now().Before(deadline) {
			err = errTimedOut
		}
		finish(a, err)
	}()
}

func (l *loop) slowlyAnswered(cl *client, a answer, err error) {
	cl.cut = nil
	if err == nil {
		l.ran(cl, a)
		return
	}
	cl.run = l.at.Sub(cl.started)
	said := verdictFine
	f := lost(err)
	switch {
	case errors.Is(err, errTimedOut):
		said, f = l.e.timedOutOn(&cl.call, cl.r), timedOut()
	case errors.Is(err, errTooLarge):
		f = tooLarge()
	case cl.gone:
		f = cl.notServed(errCallerGone)
	}
	cl.give(said)
	l.answer(cl, nil, f)
}

// takeSwift takes an idle connection, the loop's own if it has one.
func (r *replica) takeSwift(l *loop) *upstream {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.swift)
	if n == 0 {
		return nil
	}
	at := n - 1
	for i := n - 1; i >= 0; i-- {
		if r.swift[i].l == l {
			at = i
			break
		}
	}
	up := r.swift[at]
	r.swift = slices.Delete(r.swift, at, at+1)
	up.reused = true
	return up
}

// keepSwift stores a connection for the next call; false when the replica is
// leaving.
func (r *replica) keepSwift(up *upstream) bool {
	up.used = up.l.at
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return false
	}
	r.swift = append(r.swift, up)
	return true
}

// closeOneSwift closes an idle connection, if there is one.
func (r *replica) closeOneSwift() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.swift); n > 0 {
		up := r.swift[n-1]
		r.swift = slices.Delete(r.swift, n-1, n)
		up.l.f.drop(&up.src)
	}
}

// removeSwift says whether up was idle, and takes it out.
func (r *replica) removeSwift(up *upstream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.swift, up)
	if i >= 0 {
		r.swift = slices.Delete(r.swift, i, i+1)
	}
	return i >= 0
}

// closeSwift closes connections unused since before; the zero time is all.
func (r *replica) closeSwift(before time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swift = slices.DeleteFunc(r.swift, func(up *upstream) bool {
		if !before.IsZero() && !up.used.Before(before) {
			return false
		}
		up.l.f.drop(&up.src)
		return true
	})
}
