package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

// readQuery reads timeout, stdout, output and timing; it leaves alone what it
// does not know.
func (c *call) readQuery(raw string) *failure {
	c.timeout = c.route.timeout
	if raw == "" {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return refuse(http.StatusBadRequest, "the query string cannot be read; percent-encode its values")
	}
	if s := query.Get("timeout"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > config.MaxTimeoutSeconds {
			return refuse(http.StatusBadRequest, "timeout is a whole number of seconds from 1 to 3000")
		}
		c.timeout = time.Duration(n) * time.Second
	}
	switch query.Get("stdout") {
	case "true", "True", "TRUE":
		c.stdout = true
	case "", "false", "False", "FALSE":
	default:
		return refuse(http.StatusBadRequest, "stdout is true or false")
	}
	switch query.Get("timing") {
	case "1", "true":
		c.timing = true
	case "", "0", "false":
	default:
		return refuse(http.StatusBadRequest, "timing is 1 or 0")
	}
	switch query.Get("output") {
	case "", "default":
	case "raw":
		c.raw = true
	case "void":
		return refuse(http.StatusBadRequest, "output=void is not available in this version of the satellite; call without it")
	default:
		return refuse(http.StatusBadRequest, "output is default, raw or void")
	}
	return nil
}

const (
	mediaText   = "text/plain"
	mediaJSON   = "application/json"
	mediaBinary = "application/octet-stream"
)

// readType reads Content-Type and Content-Encoding.
func (c *call) readType(full, encoding string) *failure {
	switch full {
	case mediaJSON, mediaText, mediaBinary: // the common ones need no parser
		c.mediaType, c.fullType = full, full
	default:
		media, params, err := mime.ParseMediaType(full)
		if media == "application/text" { // the documented name, which langserver refuses
			media = mediaText
			full = mime.FormatMediaType(media, params)
		}
		known := media == mediaText || media == mediaJSON || media == mediaBinary
		if err != nil || !known {
			return refuse(http.StatusUnsupportedMediaType, "the Content-Type is application/json, text/plain or application/octet-stream")
		}
		if media != mediaBinary && !isUTF8(params["charset"]) {
			return refuse(http.StatusUnsupportedMediaType, "the only charset accepted is UTF-8")
		}
		c.mediaType, c.fullType = media, full
	}
	switch {
	case encoding == "" || strings.EqualFold(encoding, "identity"):
	case strings.EqualFold(encoding, "base64") && c.mediaType == mediaBinary:
		c.base64 = true
	default:
		return refuse(http.StatusUnsupportedMediaType, "the only Content-Encoding accepted is base64, with application/octet-stream")
	}
	return nil
}

// readBody reads the whole body before a replica is asked for, so that a slow
// caller holds none. A large body waits for room in memory.
func (e *Engine) readBody(c *call, w http.ResponseWriter, r *http.Request, share *share) (*buffer, *failure) {
	body, err := readAll(r.Body, r.ContentLength, maxInput, share)
	switch {
	case errors.Is(err, errTooLarge):
		discard(w, r)
		return nil, refuse(http.StatusRequestEntityTooLarge, "the input is larger than 10 MiB")
	case errors.Is(err, errNoRoom):
		return nil, &failure{
			status: http.StatusServiceUnavailable, outcome: outcomeFull, retryAfter: 1,
			message: "the engine has too many large bodies at once; try again later",
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refuse(http.StatusRequestTimeout, "the body took too long to arrive")
	case err != nil:
		f := refuse(http.StatusBadRequest, "the body was cut off or is not what its headers say")
		f.cause = err
		return nil, f
	}
	if f := c.checkBody(body); f != nil {
		body.release()
		return nil, f
	}
	return body, nil
}

// checkBody refuses what no algorithm could read. Algorithms behind http get
// their JSON unlooked at.
func (c *call) checkBody(body *buffer) *failure {
	langserver := c.route.isLangserver()
	switch {
	case c.mediaType == mediaText && !utf8.Valid(body.b):
		return refuse(http.StatusBadRequest, "the body says it is text and is not UTF-8")
	case c.mediaType == mediaJSON && langserver && !validJSON(body.b):
		return refuse(http.StatusBadRequest, "the body says it is JSON and is not")
	case c.base64 && !langserver:
		decoded, err := decodeBase64(body.b)
		if err != nil {
			return refuse(http.StatusBadRequest, "the body says it is base64 and is not")
		}
		body.b, decoded.b = decoded.b, body.b
		decoded.release()
	}
	return nil
}

const discardFor = 2 * time.Second

// discard reads a body that nobody wants, up to the largest that there may be,
// so that callers who send before they listen hear why. What is beyond closes
// the connection.
func discard(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength <= 2*maxInput && r.Header.Get("Expect") == "" {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(discardFor))
		_, _ = io.CopyN(io.Discard, r.Body, maxInput)
	}
}

// appendHead appends the request that a replica gets, without its body.
func (c *call) appendHead(dst []byte, addr string, length int) []byte {
	dst = append(dst, c.route.head...)
	dst = append(dst, addr...)
	dst = append(dst, "\r\nContent-Type: "...)
	if c.route.isLangserver() {
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
	dst = append(dst, c.id...)
	dst = c.trace.appendHeaders(dst)
	return append(dst, "\r\n\r\n"...)
}

// requestID gives the caller's X-Request-ID when it is fit to log and pass
// on, else a new one.
func requestID(id string) string {
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

// newRequestID gives req-UUID.
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
