package protocol

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

const textPlain = "text/plain; charset=utf-8"

// SmallBody is how large a body is at most that is copied behind its head and
// sent in one write with it; a larger one goes by writev.
const SmallBody = 32 << 10

// Reply is what a caller is answered, before it is put on a connection. Its
// bytes live in buffers until release.
type Reply struct {
	Status      int
	ContentType string // "" sends none
	Allow       string // methods, with 405
	RetryAfter  int    // seconds; 0 sends no header
	Nosniff     bool
	Close       bool // the connection is not used again
	Parts       [3][]byte
	Buffers     [3]*memory.Buffer
	Share       *memory.Share // what the bytes hold of the replies' budget
}

// Length returns the body's length.
func (r *Reply) Length() int { return len(r.Parts[0]) + len(r.Parts[1]) + len(r.Parts[2]) }

// Release releases the reply's memory.
func (r *Reply) Release() {
	for i, b := range r.Buffers {
		b.Release()
		r.Buffers[i] = nil
	}
	r.Parts = [3][]byte{}
	r.Share.Release()
}

// Headers calls set with each of the reply's headers, but for Date and
// Content-Length. A call has an ID, and perhaps a warning; closes is
// whether the connection is not used again.
func (r *Reply) Headers(id, warning string, closes bool, set func(name, value string)) {
	header := func(name, value string) {
		if value != "" {
			set(name, value)
		}
	}
	header("Content-Type", r.ContentType)
	header("X-Request-Id", id)
	header("X-Constellation-Warning", warning)
	header("Allow", r.Allow)
	if r.Nosniff {
		header("X-Content-Type-Options", "nosniff")
	}
	if r.RetryAfter > 0 {
		header("Retry-After", strconv.Itoa(r.RetryAfter))
	}
	if closes {
		header("Connection", "close")
	}
}

// AppendHead appends the reply's status line and headers, as Headers has them,
// with date as its Date.
func (r *Reply) AppendHead(dst []byte, id, warning string, date []byte, closes bool) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(r.Status)...)
	r.Headers(id, warning, closes, func(name, value string) {
		dst = append(append(append(append(dst, "\r\n"...), name...), ": "...), value...)
	})
	dst = append(append(dst, "\r\nDate: "...), date...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(r.Length()), 10)
	return append(dst, "\r\n\r\n"...)
}

// Weigh returns how many bytes a byte of the replica's answer becomes.
func (c *Call) Weigh(contentType string) float64 {
	isJSON := strings.Contains(contentType, "json")
	switch langserver := c.Langserver; {
	case c.Raw && (langserver || isJSON): // decoded, unquoted, or without its space
		return 2
	case c.Raw || langserver || isJSON:
		return 1
	case strings.HasPrefix(contentType, "text/"):
		return 2.25 // in quotes
	}
	return 7.0 / 3 // in base64
}

// Reply returns the caller's reply to a result, which it takes over.
func (c *Call) Reply(r *Result) (Reply, *Failure) {
	defer func() { r.body.Release() }() // nil when the reply has it
	if c.Share != nil && !c.Share.Resize(cap(r.body.B)+c.copied(r)) {
		return Reply{}, NoRoomForReply()
	}
	if c.Raw {
		return c.rawReply(r)
	}
	return c.wrappedReply(r), nil
}

// copied returns how many bytes the reply to r has that are not r's own, at most.
func (c *Call) copied(r *Result) int {
	n := 0
	if c.stdout {
		n = len(r.stdout)
	}
	switch {
	case r.kind == kindVoid:
	case c.Raw && r.plain == nil: // decoded, unquoted, or without its space
		n += len(r.raw)
	case c.Raw || r.plain == nil:
	case r.kind == kindText:
		n += jsonscan.QuotedLen(r.plain)
	default:
		n += base64.StdEncoding.EncodedLen(len(r.plain))
	}
	return n
}

// wrappedReply returns the default form:
// {"result":…,"metadata":{"content_type":…,"duration":…}}.
func (c *Call) wrappedReply(r *Result) Reply {
	head := memory.NewBuffer(512)
	head.B = append(head.B, `{"result":`...)
	raw := r.raw
	switch {
	case r.kind == kindVoid:
		raw = []byte("null")
	case r.plain != nil && r.kind == kindText:
		head.Grow(len(head.B) + jsonscan.QuotedLen(r.plain) + 512)
		head.B = jsonscan.AppendQuoted(head.B, r.plain)
	case r.plain != nil && r.kind == kindBinary:
		head.Grow(len(head.B) + base64.StdEncoding.EncodedLen(len(r.plain)) + 512)
		head.B = append(head.B, '"')
		head.B = base64.StdEncoding.AppendEncode(head.B, r.plain)
		head.B = append(head.B, '"')
	}
	out := Reply{Status: http.StatusOK, ContentType: MediaJSON, Share: c.Share}
	tail := head
	if len(raw) <= SmallBody {
		head.B = append(head.B, raw...)
	} else {
		tail = memory.NewBuffer(256 + len(r.stdout))
		out.Parts[1] = raw
	}
	tail.B = append(tail.B, `,"metadata":{"content_type":"`...)
	tail.B = append(tail.B, r.kind...)
	tail.B = append(tail.B, `",`...)
	tail.B = c.appendMetadata(tail.B, r.duration, r.stdout)
	tail.B = append(tail.B, `}}`...)
	out.Parts[0], out.Buffers[0] = head.B, head
	if tail != head {
		out.Parts[2], out.Buffers[2] = tail.B, tail
		out.Buffers[1], r.body = r.body, nil
	} else {
		c.Share.Resize(cap(head.B)) // which has all
	}
	return out
}

// appendMetadata appends the fields that results and errors share.
func (c *Call) appendMetadata(dst []byte, duration time.Duration, stdout []byte) []byte {
	dst = append(dst, `"duration":`...)
	dst = appendSeconds(dst, duration)
	if c.timing {
		dst = append(dst, `,"timing":{"running":`...)
		dst = appendSeconds(dst, c.Run)
		dst = append(dst, `,"total":`...)
		dst = appendSeconds(dst, time.Since(c.Start))
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

// rawReply returns output=raw: the bare result with its own content type.
func (c *Call) rawReply(r *Result) (Reply, *Failure) {
	out := Reply{Status: http.StatusOK, ContentType: MediaJSON, Share: c.Share}
	switch r.kind {
	case kindVoid:
		out.ContentType = ""
	case kindText:
		out.ContentType = textPlain
		if out.Parts[0] = r.plain; r.plain == nil {
			out.Parts[0] = jsonscan.Unquote(r.raw)
		}
	case kindBinary:
		out.ContentType = MediaBinary
		if out.Parts[0] = r.plain; r.plain == nil {
			decoded, err := decodeBase64(jsonscan.Unquote(r.raw))
			if err != nil {
				return Reply{}, unreadable("the algorithm's binary result is not base64")
			}
			out.Parts[0], out.Buffers[0] = decoded.B, decoded
		}
	default:
		out.Parts[0] = jsonscan.Compact(r.raw)
	}
	out.Buffers[1], r.body = r.body, nil
	return out, nil
}

// VoidReply returns the reply to a call that was stored and whose caller does not
// wait for the result.
func VoidReply(id string) Reply {
	body := append(jsonscan.AppendQuoted([]byte(`{"async":"void","request_id":`), id), '}')
	return Reply{Status: http.StatusOK, ContentType: MediaJSON, Parts: [3][]byte{body}}
}

// ErrorReply returns the reply to a request that is no call.
func ErrorReply(f *Failure) Reply { return (*Call)(nil).ErrorReply(f) }

// ErrorReply returns the reply for an error: an error object of flat strings only.
// A call that ran has metadata.
func (c *Call) ErrorReply(f *Failure) Reply {
	out := Reply{
		Status: f.Status, ContentType: MediaJSON, RetryAfter: f.RetryAfter, Allow: f.Allow, Nosniff: true,
		// What is left of the body is not read: the connection ends here.
		Close: f.Status == http.StatusRequestEntityTooLarge || f.Status == http.StatusRequestTimeout,
	}
	ran := c != nil && f.Status == http.StatusOK
	if ran && c.Raw {
		out.Status = http.StatusBadRequest
	}
	b := memory.NewBuffer(1024 + len(f.Message) + len(f.stacktrace) + len(f.stdout))
	b.B = append(b.B, `{"error":{"message":`...)
	b.B = jsonscan.AppendQuoted(b.B, f.Message)
	if f.stacktrace != "" {
		b.B = append(b.B, `,"stacktrace":`...)
		b.B = jsonscan.AppendQuoted(b.B, f.stacktrace)
	}
	if f.ErrorType != "" {
		b.B = append(b.B, `,"error_type":`...)
		b.B = jsonscan.AppendQuoted(b.B, f.ErrorType)
	}
	if f.RequestID != "" {
		b.B = append(b.B, `,"request_id":`...)
		b.B = jsonscan.AppendQuoted(b.B, f.RequestID)
	}
	b.B = append(b.B, '}')
	if ran {
		b.B = append(b.B, `,"metadata":{`...)
		b.B = c.appendMetadata(b.B, f.duration(c), f.stdout)
		b.B = append(b.B, '}')
	}
	b.B = append(b.B, '}')
	out.Parts[0], out.Buffers[0] = b.B, b
	if c != nil {
		// Twice: the failure is kept for the log until the reply is written.
		if out.Share = c.Share; !c.Share.Resize(2 * cap(b.B)) {
			out.Release()
			return c.ErrorReply(NoRoomForReply())
		}
	}
	return out
}
