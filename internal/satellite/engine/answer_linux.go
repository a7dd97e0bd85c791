package engine

import (
	"errors"
	"net/http"
	"strconv"

	"golang.org/x/sys/unix"
)

// answer ends a call: with out, or with how it failed.
func (l *loop) answer(cl *client, out *reply, f *failure) {
	cl.body.release()
	cl.body = nil
	cl.r = nil
	if cl.gone {
		if out != nil {
			out.release()
		}
		if f == nil {
			cl.outcome = outcomeCanceled
		}
		l.finishCall(cl, f)
		cl.state = clientIdle
		l.closeClient(cl)
		return
	}
	var failed reply
	if f != nil {
		failed = cl.failed(f)
		out = &failed
	}
	if f != nil || out == nil {
		l.finishCall(cl, f)
	}
	l.write(cl, *out)
}

// finishCall counts and logs a call, once.
func (l *loop) finishCall(cl *client, f *failure) {
	if !cl.counted {
		cl.counted = true
		l.e.finish(&cl.call, f)
	}
}

// write sends a reply, as much of it as goes; the rest when there is room.
func (l *loop) write(cl *client, out reply) {
	cl.answering = true
	cl.close = cl.close || out.close || l.e.draining.Load()
	l.out = l.appendHead(l.out[:0], cl, &out)
	small := out.length() <= smallBody
	if small {
		for _, part := range out.parts {
			l.out = append(l.out, part...)
		}
	}
	var n int
	var err error
	if small {
		n, err = rawWrite(cl.src.fd, l.out)
	} else {
		n, err = unix.Writev(cl.src.fd, [][]byte{l.out, out.parts[0], out.parts[1], out.parts[2]})
	}
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
		out.release()
		if !cl.counted {
			cl.outcome = outcomeCanceled
		}
		l.finishCall(cl, nil)
		cl.state = clientIdle
		l.closeClient(cl)
		return
	}
	n = max(n, 0)
	whole := len(l.out)
	if !small {
		whole += out.length()
	}
	if n == whole {
		out.release()
		l.written(cl)
		return
	}
	// Copied: the parts may be of the loop's own memory.
	rest := newBuffer(whole - n)
	for _, part := range [...][]byte{l.out, out.parts[0], out.parts[1], out.parts[2]} {
		skip := min(n, len(part))
		rest.b = append(rest.b, part[skip:]...)
		if n -= skip; small {
			break
		}
	}
	out.release()
	cl.restOut, cl.rest = reply{buffers: [3]*buffer{rest}}, rest.b
	l.set(cl, clientWriting)
	l.writeRest(cl)
}

func (l *loop) writeRest(cl *client) {
	for len(cl.rest) > 0 {
		n, err := rawWrite(cl.src.fd, cl.rest)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return
		case err != nil:
			if !cl.counted {
				cl.outcome = outcomeCanceled
			}
			l.finishCall(cl, nil)
			l.closeClient(cl)
			return
		default:
			cl.rest = cl.rest[n:]
			cl.since = l.at
		}
	}
	cl.restOut.release()
	l.written(cl)
}

// written makes the connection ready for the next call.
func (l *loop) written(cl *client) {
	l.finishCall(cl, nil)
	cl.rest = nil
	cl.state = clientIdle
	if cl.close || l.drained != nil {
		l.closeClient(cl)
		return
	}
	cl.since = l.at
	if cl.more || cl.ended {
		l.again = append(l.again, cl)
	}
}

// appendHead appends a reply's status line and headers.
func (l *loop) appendHead(dst []byte, cl *client, out *reply) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(out.status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(out.status)...)
	header := func(name, value string) {
		if value != "" {
			dst = append(append(append(append(dst, "\r\n"...), name...), ": "...), value...)
		}
	}
	header("Content-Type", out.contentType)
	header("X-Request-Id", cl.id)
	header("X-Constellation-Warning", cl.warning)
	header("Allow", out.allow)
	if out.nosniff {
		header("X-Content-Type-Options", "nosniff")
	}
	if out.retryAfter > 0 {
		header("Retry-After", strconv.Itoa(out.retryAfter))
	}
	if cl.close {
		header("Connection", "close")
	}
	dst = append(dst, "\r\nDate: "...)
	dst = append(dst, l.now()...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(out.length()), 10)
	return append(dst, "\r\n\r\n"...)
}

// now is the Date header's value, made once a second.
func (l *loop) now() []byte {
	if s := l.at.Unix(); s != l.dated {
		l.dated = s
		l.date = l.at.UTC().AppendFormat(l.date[:0], http.TimeFormat)
	}
	return l.date
}
