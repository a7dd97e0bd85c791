package engine

import (
	"bytes"
	"net/http"

	"github.com/constellation-serving/constellation/internal/satellite/eventloop"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
	"github.com/constellation-serving/constellation/internal/satellite/protocol"
)

// answer ends a call: with out, or with how it failed.
func (l *loop) answer(cl *client, out *protocol.Reply, f *protocol.Failure) {
	cl.body.Release()
	cl.body = nil
	l.account(cl)
	if cl.Gone {
		cl.Share.Release()
		if out != nil {
			out.Release()
		}
		if f == nil {
			cl.Outcome = protocol.OutcomeCanceled
		}
		l.finishCall(cl, f)
		cl.state = clientIdle
		l.closeClient(cl)
		return
	}
	var failed protocol.Reply
	if f != nil {
		failed = cl.ErrorReply(f)
		out = &failed
	}
	if f != nil || out == nil {
		l.finishCall(cl, f)
	}
	l.write(cl, *out)
}

// finishCall counts and logs a call, once.
func (l *loop) finishCall(cl *client, f *protocol.Failure) {
	if !cl.counted {
		cl.counted = true
		l.e.finish(&cl.Call, f)
	}
}

// write sends a reply, as much of it as goes; the rest when there is room.
func (l *loop) write(cl *client, out protocol.Reply) {
	cl.Answering = true
	cl.close = cl.close || out.Close || l.e.draining.Load()
	l.out = out.AppendHead(l.out[:0], cl.ID, cl.Warning, l.dateHeader(), cl.close)
	small := out.Length() <= protocol.SmallBody
	if small {
		for _, part := range out.Parts {
			l.out = append(l.out, part...)
		}
	}
	var n int
	var err error
	if small {
		n, err = cl.conn.Write(l.out)
	} else {
		n, err = cl.conn.Writev([][]byte{l.out, out.Parts[0], out.Parts[1], out.Parts[2]})
	}
	if err != nil && !eventloop.IsAgain(err) {
		out.Release()
		l.unwritten(cl)
		return
	}
	n = max(n, 0)
	whole := len(l.out)
	if !small {
		whole += out.Length()
	}
	if n == whole {
		out.Release()
		l.written(cl)
		return
	}
	parts := [4][]byte{l.out}
	if !small {
		copy(parts[1:], out.Parts[:])
	}
	if !l.keepRest(cl, &out, &parts, n) {
		l.e.log.Warn("a reply is cut: its caller does not read, and replies of this key have no room", "request_id", cl.ID, "key_id", cl.KeyID)
		l.unwritten(cl)
		return
	}
	l.set(cl, clientWriting)
	l.writeRest(cl)
}

// keepRest keeps what follows the first n bytes of a reply's parts until it
// can be written; false when there is no room. A reply that has a share of its
// own is kept as it is; any other is copied, since it may be of the loop's
// memory.
func (l *loop) keepRest(cl *client, out *protocol.Reply, parts *[4][]byte, n int) bool {
	left := 0
	for i, part := range parts {
		parts[i] = part[min(n, len(part)):]
		n -= min(n, len(part))
		left += len(parts[i])
	}
	if out.Share.Held() {
		parts[0] = bytes.Clone(parts[0])
		cl.restOut, cl.rest = *out, *parts
		return true
	}
	share, ok := l.e.replies.TryShare(cl.KeyID, memory.BufferSize(left))
	if !ok {
		out.Release()
		return false
	}
	rest := memory.NewBuffer(left)
	for _, part := range parts {
		rest.B = append(rest.B, part...)
	}
	out.Release()
	cl.restOut, cl.rest = protocol.Reply{Buffers: [3]*memory.Buffer{rest}, Share: share}, [4][]byte{rest.B}
	return true
}

func (l *loop) writeRest(cl *client) {
	for i := 0; i < len(cl.rest); {
		if len(cl.rest[i]) == 0 {
			i++
			continue
		}
		n, err := cl.conn.Write(cl.rest[i])
		switch {
		case eventloop.IsAgain(err):
			return
		case err != nil:
			l.unwritten(cl)
			return
		default:
			cl.rest[i] = cl.rest[i][n:]
			cl.since = l.Now()
		}
	}
	cl.restOut.Release()
	l.written(cl)
}

// unwritten ends a call whose answer its caller will not have.
func (l *loop) unwritten(cl *client) {
	if !cl.counted {
		cl.Outcome = protocol.OutcomeCanceled
	}
	l.finishCall(cl, nil)
	cl.state = clientIdle
	l.closeClient(cl)
}

// written makes the connection ready for the next call.
func (l *loop) written(cl *client) {
	l.finishCall(cl, nil)
	cl.rest = [4][]byte{}
	cl.state = clientIdle
	if cl.close || l.drained != nil {
		l.closeClient(cl)
		return
	}
	cl.since = l.Now()
	if cl.more || cl.ended {
		l.Later((*nextRead)(cl))
	}
}

// dateHeader returns the Date header's value, made once a second.
func (l *loop) dateHeader() []byte {
	if s := l.Now().Unix(); s != l.dated {
		l.dated = s
		l.date = l.Now().UTC().AppendFormat(l.date[:0], http.TimeFormat)
	}
	return l.date
}
