package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Limits of a call (reference section 1).
const (
	maxInput  = 10 << 20
	maxOutput = 15 << 20
	// maxReply is the most that is read of a langserver's reply: a binary
	// result of maxOutput in base64, and its metadata.
	maxReply = maxOutput/3*4 + 1<<20
	// maxMessage bounds a message made from a body that is no error object.
	maxMessage = 4 << 10
)

// resultKind is a result's content type in metadata.
type resultKind string

const (
	kindText   resultKind = "text"
	kindJSON   resultKind = "json"
	kindBinary resultKind = "binary"
	kindVoid   resultKind = "void"
)

// result is what an algorithm answered. Its bytes live in body, which the
// call releases after the response is written.
type result struct {
	kind resultKind
	// raw is the JSON of the result; nil when plain holds it.
	raw []byte
	// plain is the result of an http algorithm: text or bytes as they came.
	plain    []byte
	duration time.Duration
	stdout   []byte // a raw JSON string, or nil
	body     *buffer
}

// check holds a result to the size limit, and its kind to its value.
func (r *result) check() *failure {
	if r.plain != nil {
		if len(r.plain) > maxOutput {
			return tooLarge()
		}
		return nil
	}
	limit := maxOutput
	switch r.kind {
	case kindBinary:
		limit = maxReply
		if !isString(r.raw) {
			r.kind = kindJSON
		}
	case kindText:
		if !isString(r.raw) {
			r.kind = kindJSON
		}
	case kindVoid, kindJSON:
	default: // not told, or a word we do not know
		switch {
		case isString(r.raw):
			r.kind = kindText
		case isNull(r.raw):
			r.kind = kindVoid
		default:
			r.kind = kindJSON
		}
	}
	if len(r.raw) > limit {
		return tooLarge()
	}
	return nil
}

// compact gives valid JSON without the space around its tokens.
func compact(raw []byte) []byte {
	if !bytes.ContainsAny(raw, " \n\t\r") {
		return raw
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}

// decodeBase64 accepts standard and URL alphabets, padded or not.
func decodeBase64(s []byte) (*buffer, error) {
	s = bytes.TrimRight(bytes.TrimSpace(s), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	b := newBuffer(encoding.DecodedLen(len(s)))
	decoded, err := encoding.AppendDecode(b.b, s)
	if err != nil {
		b.release()
		return nil, err
	}
	b.b = decoded
	return b, nil
}
