package protocol

import (
	"bytes"
	"encoding/base64"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

// Limits of a call.
const (
	MaxInput  = 10 << 20
	MaxOutput = 15 << 20
	// MaxReply is the most that is read of a langserver's reply: a binary
	// result of MaxOutput in base64, and its metadata.
	MaxReply = MaxOutput/3*4 + 1<<20
	// MaxMessage bounds a message made from a body that is no error object.
	MaxMessage = 4 << 10
)

// Kind is a result's content type in metadata.
type Kind string

const (
	kindText   Kind = "text"
	kindJSON   Kind = "json"
	kindBinary Kind = "binary"
	kindVoid   Kind = "void"
)

// Result is what an algorithm answered. Its bytes live in body, which the
// call releases after the response is written.
type Result struct {
	kind Kind
	// raw is the JSON of the result; nil when plain holds it.
	raw []byte
	// plain is the result of an http algorithm: text or bytes as they came.
	plain    []byte
	duration time.Duration
	stdout   []byte // a raw JSON string, or nil
	body     *memory.Buffer
}

// check holds a result to the size limit, and its kind to its value.
func (r *Result) check() *Failure {
	if r.plain != nil {
		if len(r.plain) > MaxOutput {
			return TooLarge()
		}
		return nil
	}
	limit := MaxOutput
	switch r.kind {
	case kindBinary:
		limit = MaxReply
		if !jsonscan.IsString(r.raw) {
			r.kind = kindJSON
		}
	case kindText:
		if !jsonscan.IsString(r.raw) {
			r.kind = kindJSON
		}
	case kindVoid, kindJSON:
	default: // not said, or a word we do not know
		switch {
		case jsonscan.IsString(r.raw):
			r.kind = kindText
		case jsonscan.IsNull(r.raw):
			r.kind = kindVoid
		default:
			r.kind = kindJSON
		}
	}
	if len(r.raw) > limit {
		return TooLarge()
	}
	return nil
}

// decodeBase64 accepts standard and URL alphabets, padded or not.
func decodeBase64(s []byte) (*memory.Buffer, error) {
	s = bytes.TrimRight(bytes.TrimSpace(s), "=")
	encoding := base64.RawStdEncoding
	if bytes.ContainsAny(s, "-_") {
		encoding = base64.RawURLEncoding
	}
	b := memory.NewBuffer(encoding.DecodedLen(len(s)))
	decoded, err := encoding.AppendDecode(b.B, s)
	if err != nil {
		b.Release()
		return nil, err
	}
	b.B = decoded
	return b, nil
}
