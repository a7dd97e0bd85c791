package protocol

import (
	"crypto/rand"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/jsonscan"
	"github.com/constellation-serving/constellation/internal/satellite/memory"
)

// ReadQuery reads timeout, stdout, output and timing, and leaves alone what it
// does not know. Without a timeout in the query the call keeps its own.
func (c *Call) ReadQuery(raw string) *Failure {
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return Refuse(http.StatusBadRequest, "the query string cannot be read; percent-encode its values")
	}
	if s := query.Get("timeout"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > config.MaxTimeoutSeconds {
			return Refuse(http.StatusBadRequest, "timeout is a whole number of seconds from 1 to 3000")
		}
		c.Timeout = time.Duration(n) * time.Second
	}
	switch query.Get("stdout") {
	case "true", "True", "TRUE":
		c.stdout = true
	case "", "false", "False", "FALSE":
	default:
		return Refuse(http.StatusBadRequest, "stdout is true or false")
	}
	switch query.Get("timing") {
	case "1", "true":
		c.timing = true
	case "", "0", "false":
	default:
		return Refuse(http.StatusBadRequest, "timing is 1 or 0")
	}
	switch query.Get("output") {
	case "", "default":
	case "raw":
		c.Raw = true
	case "void":
		c.Void = true
	default:
		return Refuse(http.StatusBadRequest, "output is default, raw or void")
	}
	return nil
}

// The content types of requests and replies.
const (
	MediaText   = "text/plain"
	MediaJSON   = "application/json"
	MediaBinary = "application/octet-stream"
)

// MediaType returns a Content-Type as a string, the common ones without an
// allocation.
func MediaType(b []byte) string {
	switch string(b) {
	case MediaJSON:
		return MediaJSON
	case MediaText:
		return MediaText
	case MediaBinary:
		return MediaBinary
	}
	return string(b)
}

// ReadType reads Content-Type and Content-Encoding.
func (c *Call) ReadType(full, encoding string) *Failure {
	switch full {
	case MediaJSON, MediaText, MediaBinary: // the common ones need no parser
		c.mediaType, c.fullType = full, full
	default:
		media, params, err := mime.ParseMediaType(full)
		if media == "application/text" { // the documented name, which langserver refuses
			media = MediaText
			full = mime.FormatMediaType(media, params)
		}
		known := media == MediaText || media == MediaJSON || media == MediaBinary
		if err == nil && !known && !c.Langserver { // it is between the caller and the algorithm
			c.mediaType, c.fullType = media, full
			break
		}
		if err != nil || !known {
			return Refuse(http.StatusUnsupportedMediaType, "the Content-Type is application/json, text/plain or application/octet-stream")
		}
		if media != MediaBinary && !isUTF8(params["charset"]) {
			return Refuse(http.StatusUnsupportedMediaType, "the only charset accepted is UTF-8")
		}
		c.mediaType, c.fullType = media, full
	}
	switch {
	case encoding == "" || strings.EqualFold(encoding, "identity"):
	case strings.EqualFold(encoding, "base64") && c.mediaType == MediaBinary:
		c.base64 = true
	default:
		return Refuse(http.StatusUnsupportedMediaType, "the only Content-Encoding accepted is base64, with application/octet-stream")
	}
	return nil
}

// CheckBody refuses what no algorithm could read, and decodes base64 for an
// http algorithm. Such an algorithm gets its JSON unchecked.
func (c *Call) CheckBody(body *memory.Buffer) *Failure {
	langserver := c.Langserver
	switch {
	case c.mediaType == MediaText && !utf8.Valid(body.B):
		return Refuse(http.StatusBadRequest, "the body says it is text and is not UTF-8")
	case c.mediaType == MediaJSON && langserver && !jsonscan.Valid(body.B):
		return Refuse(http.StatusBadRequest, "the body says it is JSON and is not")
	case c.base64 && !langserver:
		decoded, err := decodeBase64(body.B)
		if err != nil {
			return Refuse(http.StatusBadRequest, "the body says it is base64 and is not")
		}
		if !c.Void { // which is checked now, and decoded when it runs
			body.B, decoded.B = decoded.B, body.B
		}
		decoded.Release()
	}
	return nil
}

// AppendHead appends the request that the replica at addr gets, without its
// body of length bytes.
func (c *Call) AppendHead(dst []byte, addr string, length int) []byte {
	dst = append(dst, c.Head...)
	dst = append(dst, addr...)
	dst = append(dst, "\r\nContent-Type: "...)
	if c.Langserver {
		dst = append(dst, c.mediaType...)
		if c.base64 {
			dst = append(dst, "\r\nContent-Encoding: base64"...)
		}
	} else {
		dst = append(dst, c.fullType...)
	}
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(length), 10)
	dst = append(dst, "\r\nX-Request-Id: "...)
	dst = append(dst, c.ID...)
	dst = c.Trace.appendHeaders(dst)
	return append(dst, "\r\n\r\n"...)
}

// RequestID returns the caller's X-Request-ID if it is fit to log and pass on,
// else a new one.
func RequestID(id string) string {
	if id != "" && len(id) <= 128 {
		for i := range len(id) {
			switch c := id[i]; {
			case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
			case c == '-', c == '_', c == '.', c == ':', c == '/', c == '+', c == '=', c == '@':
			default:
				return newRequestID()
			}
		}
		return id
	}
	return newRequestID()
}

// newRequestID returns req-UUID.
func newRequestID() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	b := make([]byte, 0, 40)
	b = append(b, "req-"...)
	b = hex.AppendEncode(b, u[:4])
	for _, part := range [...][]byte{u[4:6], u[6:8], u[8:10], u[10:]} {
		b = append(b, '-')
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}
