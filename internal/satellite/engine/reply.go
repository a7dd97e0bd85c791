package engine

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"time"
)

// The content types of replies.
const (
	textPlain = "text/plain; charset=utf-8"
)

// reply is what a caller is answered, before it is put on a connection. Its
// bytes live in buffers until release.
type reply struct {
	status      int
	contentType string // "" sends none
	allow       string // methods, with 405
	retryAfter  int    // seconds; 0 sends no header
	nosniff     bool
	close       bool // the connection is not used again
	parts       [3][]byte
	buffers     [3]*buffer
}

// length is the body's.
func (r *reply) length() int { return len(r.parts[0]) + len(r.parts[1]) + len(r.parts[2]) }

// release gives the reply's memory back.
func (r *reply) release() {
	for i, b := range r.buffers {
		b.release()
		r.buffers[i] = nil
	}
	r.parts = [3][]byte{}
}

// reply makes the caller's reply of a result.
func (c *call) reply(r *result) (reply, *failure) {
	if c.raw {
		return c.rawReply(r)
	}
	return c.wrappedReply(r), nil
}

// wrappedReply is the default form:
// {"result":…,"metadata":{"content_type":…,"duration":…}}.
func (c *call) wrappedReply(r *result) reply {
	head := newBuffer(512)
	head.b = append(head.b, `{"result":`...)
	raw := r.raw
	switch {
	case r.kind == kindVoid:
		raw = []byte("null")
	case r.plain != nil && r.kind == kindText:
		head.grow(len(head.b) + len(r.plain) + len(r.plain)/8 + 512)
		head.b = appendQuoted(head.b, r.plain)
	case r.plain != nil && r.kind == kindBinary:
		head.grow(len(head.b) + base64.StdEncoding.EncodedLen(len(r.plain)) + 512)
		head.b = append(head.b, '"')
		head.b = base64.StdEncoding.AppendEncode(head.b, r.plain)
		head.b = append(head.b, '"')
	}
	out := reply{status: http.StatusOK, contentType: mediaJSON}
	tail := head
	if len(raw) <= smallBody {
		head.b = append(head.b, raw...)
	} else {
		tail = newBuffer(256 + len(r.stdout))
		out.parts[1] = raw
	}
	tail.b = append(tail.b, `,"metadata":{"content_type":"`...)
	tail.b = append(tail.b, r.kind...)
	tail.b = append(tail.b, `",`...)
	tail.b = c.appendMetadata(tail.b, r.duration, r.stdout)
	tail.b = append(tail.b, `}}`...)
	out.parts[0], out.buffers[0] = head.b, head
	if tail != head {
		out.parts[2], out.buffers[2] = tail.b, tail
	}
	out.buffers[1], r.body = r.body, nil
	return out
}

// appendMetadata appends the fields that results and errors share.
func (c *call) appendMetadata(dst []byte, duration time.Duration, stdout []byte) []byte {
	dst = append(dst, `"duration":`...)
	dst = appendSeconds(dst, duration)
	if c.timing {
		dst = append(dst, `,"timing":{"running":`...)
		dst = appendSeconds(dst, c.run)
		dst = append(dst, `,"total":`...)
		dst = appendSeconds(dst, time.Since(c.start))
		dst = append(dst, '}')
	}
	if c.stdout {
		dst = append(dst, `,"stdout":`...)
		if stdout == nil {
			stdout = []byte(`""`)
		}
		dst = append(dst, stdout...)
	}
	return dst
}

func appendSeconds(dst []byte, d time.Duration) []byte {
	return strconv.AppendFloat(dst, max(0, d.Seconds()), 'f', -1, 64)
}

// rawReply is output=raw: the bare result with its own content type.
func (c *call) rawReply(r *result) (reply, *failure) {
	out := reply{status: http.StatusOK, contentType: mediaJSON}
	switch r.kind {
	case kindVoid:
		out.contentType = ""
	case kindText:
		out.contentType = textPlain
		if out.parts[0] = r.plain; r.plain == nil {
			out.parts[0] = unquote(r.raw)
		}
	case kindBinary:
		out.contentType = mediaBinary
		if out.parts[0] = r.plain; r.plain == nil {
			decoded, err := decodeBase64(unquote(r.raw))
			if err != nil {
				return reply{}, unreadable("the algorithm's binary result is not base64")
			}
			out.parts[0], out.buffers[0] = decoded.b, decoded
		}
	default:
		out.parts[0] = compact(r.raw)
	}
	out.buffers[1], r.body = r.body, nil
	return out, nil
}

// failed is the reply for an error: an error object of flat strings only. A
// call that ran has metadata; c is nil for requests that were not a call.
func (c *call) failed(f *failure) reply {
	out := reply{
		status: f.status, contentType: mediaJSON, retryAfter: f.retryAfter, allow: f.allow, nosniff: true,
		// What is left of the body is not read: the connection ends here.
		close: f.status == http.StatusRequestEntityTooLarge || f.status == http.StatusRequestTimeout,
	}
	ran := c != nil && f.status == http.StatusOK
	if ran && c.raw {
		out.status = http.StatusBadRequest
	}
	b := newBuffer(1024 + len(f.message) + len(f.stacktrace) + len(f.stdout))
	b.b = append(b.b, `{"error":{"message":`...)
	b.b = appendQuoted(b.b, f.message)
	if f.stacktrace != "" {
		b.b = append(b.b, `,"stacktrace":`...)
		b.b = appendQuoted(b.b, f.stacktrace)
	}
	if f.errorType != "" {
		b.b = append(b.b, `,"error_type":`...)
		b.b = appendQuoted(b.b, f.errorType)
	}
	b.b = append(b.b, '}')
	if ran {
		b.b = append(b.b, `,"metadata":{`...)
		b.b = c.appendMetadata(b.b, f.duration(c), f.stdout)
		b.b = append(b.b, '}')
	}
	b.b = append(b.b, '}')
	out.parts[0], out.buffers[0] = b.b, b
	return out
}
