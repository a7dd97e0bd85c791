package engine

import (
	"bytes"
)

// The fast path reads only what is beyond doubt: the plain calls that the
// clients send, and the plain answers that replicas give. Everything else,
// whether another way to write the same or an attack, goes to net/http.

// reading is what parsing a head came to.
type reading byte

const (
	headPartial reading = iota // more bytes are needed
	headPlain
	headOther // it is for net/http
)

const (
	// maxPlainHead and maxPlainBody bound what the fast path takes.
	maxPlainHead = 8 << 10
	maxPlainBody = 64 << 10
)

// callHead is a plain call's head. Its slices are of the bytes parsed.
type callHead struct {
	path, query             []byte // path after /v1/algo/
	authorization           []byte
	contentType, encoding   []byte
	requestID               []byte
	traceparent, tracestate []byte
	end, length             int // where the body starts, and how long it is
	close                   bool
}

var (
	callStart = []byte("POST " + callPrefix)
	callEnd   = []byte(" HTTP/1.1")
	headEnd   = []byte("\r\n\r\n")
)

// parseCall reads the head of a plain call: POST /v1/algo/… over HTTP/1.1, a
// Host, one Content-Length, no doubt anywhere.
func parseCall(data []byte, h *callHead) reading {
	*h = callHead{}
	if n := min(len(data), len(callStart)); !bytes.Equal(data[:n], callStart[:n]) {
		return headOther
	}
	end := bytes.Index(data, headEnd)
	switch {
	case end < 0 && len(data) < maxPlainHead:
		return headPartial
	case end < 0 || end > maxPlainHead:
		return headOther
	}
	h.end, h.length = end+len(headEnd), -1
	line, rest := cutLine(data[:end+2])
	target, ok := bytes.CutSuffix(line[len(callStart):], callEnd)
	if !ok || !plainTarget(target) {
		return headOther
	}
	h.path, h.query, _ = bytes.Cut(target, []byte("?"))
	hosts := 0
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		name, value, ok := cutHeader(line)
		if !ok || !h.take(name, value, &hosts) {
			return headOther
		}
	}
	if hosts != 1 || h.length < 0 || h.length > maxPlainBody {
		return headOther
	}
	return headPlain
}

// take notes a header; false when it is not for the fast path.
func (h *callHead) take(name, value []byte, hosts *int) bool {
	switch len(name) {
	case len("host"):
		if is(name, "host") {
			*hosts++
			return plainHost(value)
		}
	case len("expect"):
		return !is(name, "expect")
	case len("upgrade"):
		return !is(name, "upgrade") && !is(name, "trailer")
	case len("connection"):
		switch {
		case is(name, "tracestate"):
			return once(&h.tracestate, value)
		case is(name, "connection"):
			closes := is(value, "close")
			h.close = h.close || closes
			return closes || is(value, "keep-alive")
		}
	case len("traceparent"):
		if is(name, "traceparent") {
			return once(&h.traceparent, value)
		}
	case len("content-type"):
		switch {
		case is(name, "content-type"):
			return once(&h.contentType, value)
		case is(name, "x-request-id"):
			return once(&h.requestID, value)
		}
	case len("authorization"):
		if is(name, "authorization") {
			return once(&h.authorization, value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return takeLength(&h.length, value)
		}
	case len("content-encoding"):
		if is(name, "content-encoding") {
			return once(&h.encoding, value)
		}
	case len("transfer-encoding"):
		return !is(name, "transfer-encoding")
	}
	return true
}

// answerHead is a plain answer's head.
type answerHead struct {
	status      int
	contentType []byte
	end, length int
	close       bool
}

// parseAnswer reads the head of a plain final answer: HTTP/1.1, one
// Content-Length.
func parseAnswer(data []byte, h *answerHead) reading {
	*h = answerHead{}
	const start = "HTTP/1.1 "
	if n := min(len(data), len(start)); string(data[:n]) != start[:n] {
		return headOther
	}
	end := bytes.Index(data, headEnd)
	switch {
	case end < 0 && len(data) < maxPlainHead:
		return headPartial
	case end < 0 || end > maxPlainHead:
		return headOther
	}
	h.end, h.length = end+len(headEnd), -1
	line, rest := cutLine(data[:end+2])
	line = line[len(start):]
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' || !allDigits(line[:3]) || !plainText(line) {
		return headOther
	}
	h.status = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if h.status < 200 || h.status == 204 || h.status == 304 {
		return headOther
	}
	for len(rest) > 0 {
		line, rest = cutLine(rest)
		name, value, ok := cutHeader(line)
		if !ok || !h.take(name, value) {
			return headOther
		}
	}
	if h.length < 0 {
		return headOther
	}
	return headPlain
}

func (h *answerHead) take(name, value []byte) bool {
	switch len(name) {
	case len("connection"):
		if is(name, "connection") {
			closes := is(value, "close")
			h.close = h.close || closes
			return closes || is(value, "keep-alive")
		}
	case len("content-type"):
		if is(name, "content-type") {
			return once(&h.contentType, value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return takeLength(&h.length, value)
		}
	case len("transfer-encoding"):
		return !is(name, "transfer-encoding")
	}
	return true
}

// cutLine cuts at the first CRLF. A bare LF or CR stays in the line, where
// cutHeader and plainTarget refuse it.
func cutLine(data []byte) (line, rest []byte) {
	i := bytes.Index(data, headEnd[:2])
	if i < 0 {
		return data, nil
	}
	return data[:i], data[i+2:]
}

// cutHeader cuts "Name: value"; false for folded lines, space around the
// name, and bytes that are not plain ASCII.
func cutHeader(line []byte) (name, value []byte, ok bool) {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return nil, nil, false
	}
	name, value = line[:i], line[i+1:]
	for _, c := range name {
		if !tokenByte[c] {
			return nil, nil, false
		}
	}
	for len(value) > 0 && (value[0] == ' ' || value[0] == '\t') {
		value = value[1:]
	}
	for n := len(value); n > 0 && (value[n-1] == ' ' || value[n-1] == '\t'); n-- {
		value = value[:n-1]
	}
	for _, c := range value {
		if (c < ' ' && c != '\t') || c > '~' {
			return nil, nil, false
		}
	}
	return name, value, true
}

// tokenByte are the bytes of a header's name (RFC 9110, token).
var tokenByte = func() (table [256]bool) {
	for c := range 256 {
		table[c] = '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' ||
			bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
	}
	return table
}()

// plainTarget: letters, digits and what paths and queries need, and nothing
// to decode in the path.
func plainTarget(target []byte) bool {
	query := false
	for _, c := range target {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z':
		case c == '/', c == '_', c == '.', c == '-', c == '*':
		case c == '?' && !query:
			query = true
		case (c == '=' || c == '&') && query:
		default:
			return false
		}
	}
	return true
}

// plainText has no control characters: a bare LF in a status line ends it for
// net/http.
func plainText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func plainHost(host []byte) bool {
	for _, c := range host {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' && c != '-' && c != ':' && c != '_' {
			return false
		}
	}
	return len(host) > 0
}

// is compares without case; word is lower-case.
func is(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// once sets a header; false when it was there already, or is empty.
func once(field *[]byte, value []byte) bool {
	if *field != nil || len(value) == 0 {
		return false
	}
	*field = value
	return true
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

func takeLength(length *int, value []byte) bool {
	if *length >= 0 || len(value) > 9 || !allDigits(value) {
		return false
	}
	n := 0
	for _, c := range value {
		n = n*10 + int(c-'0')
	}
	*length = n
	return true
}
