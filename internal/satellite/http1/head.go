// Package http1 reads the heads of HTTP/1.1 messages that are beyond doubt: the
// plain calls that clients send, and the plain answers that replicas give.
// Everything else, whether another way to write the same or an attack, is left
// to net/http, and that is said at the first line that shows it: who waits for
// a head that net/http has seen the end of would wait for ever.
package http1

import (
	"bytes"
)

// State is what reading a head came to.
type State byte

// What is read of a head. Only a plain one may be used.
const (
	Partial State = iota // more bytes are needed, for net/http too
	Plain
	Other // it is for net/http
)

// What is larger is not plain.
const (
	MaxHead = 8 << 10
	MaxBody = 64 << 10
)

// Prefix is what the path of every call begins with.
const Prefix = "/v1/algo/"

// Call is a plain call's head. Its slices are of the bytes read.
type Call struct {
	Path, Query             []byte // Path after Prefix
	Authorization           []byte
	ContentType, Encoding   []byte
	RequestID               []byte
	Traceparent, Tracestate []byte
	End, Length             int // where the body starts, and how long it is
	Close                   bool
}

var (
	callStart = []byte("POST " + Prefix)
	callEnd   = []byte(" HTTP/1.1")
)

// ReadCall reads the head of a plain call: POST /v1/algo/… over HTTP/1.1, a
// Host, one Content-Length, no doubt anywhere.
func ReadCall(data []byte, h *Call) State {
	*h = Call{Length: -1}
	if n := min(len(data), len(callStart)); !bytes.Equal(data[:n], callStart[:n]) {
		return Other
	}
	line, rest, state := cutLine(data)
	if state != Plain {
		return within(data, state)
	}
	target, ok := bytes.CutSuffix(line[len(callStart):], callEnd)
	if !ok || !plainTarget(target) {
		return Other
	}
	h.Path, h.Query, _ = bytes.Cut(target, []byte("?"))
	for hosts := 0; ; {
		if line, rest, state = cutLine(rest); state != Plain {
			return within(data, state)
		}
		if len(line) == 0 {
			if h.End = len(data) - len(rest); hosts != 1 || h.Length < 0 || h.Length > MaxBody || h.End > MaxHead {
				return Other
			}
			return Plain
		}
		name, value, ok := cutHeader(line)
		if !ok || !h.take(name, value, &hosts) {
			return Other
		}
	}
}

// take notes a header; false when the call is not plain.
func (h *Call) take(name, value []byte, hosts *int) bool {
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
			return once(&h.Tracestate, value)
		case is(name, "connection"):
			closes := is(value, "close")
			h.Close = h.Close || closes
			return closes || is(value, "keep-alive")
		}
	case len("traceparent"):
		if is(name, "traceparent") {
			return once(&h.Traceparent, value)
		}
	case len("content-type"):
		switch {
		case is(name, "content-type"):
			return once(&h.ContentType, value)
		case is(name, "x-request-id"):
			return once(&h.RequestID, value)
		}
	case len("authorization"):
		if is(name, "authorization") {
			return once(&h.Authorization, value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return takeLength(&h.Length, value)
		}
	case len("content-encoding"):
		if is(name, "content-encoding") {
			return once(&h.Encoding, value)
		}
	case len("transfer-encoding"):
		return !is(name, "transfer-encoding")
	}
	return true
}

// Answer is a plain answer's head. Its slices are of the bytes read.
type Answer struct {
	Status      int
	ContentType []byte
	End, Length int
	Close       bool
}

var answerStart = []byte("HTTP/1.1 ")

// ReadAnswer reads the head of a plain final answer: HTTP/1.1, one
// Content-Length.
func ReadAnswer(data []byte, h *Answer) State {
	*h = Answer{Length: -1}
	if n := min(len(data), len(answerStart)); !bytes.Equal(data[:n], answerStart[:n]) {
		return Other
	}
	line, rest, state := cutLine(data)
	if state != Plain {
		return within(data, state)
	}
	line = line[len(answerStart):]
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' || !allDigits(line[:3]) || !plainText(line) {
		return Other
	}
	h.Status = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if h.Status < 200 || h.Status == 204 || h.Status == 304 {
		return Other
	}
	for {
		if line, rest, state = cutLine(rest); state != Plain {
			return within(data, state)
		}
		if len(line) == 0 {
			if h.End = len(data) - len(rest); h.Length < 0 || h.End > MaxHead {
				return Other
			}
			return Plain
		}
		name, value, ok := cutHeader(line)
		if !ok || !h.take(name, value) {
			return Other
		}
	}
}

func (h *Answer) take(name, value []byte) bool {
	switch len(name) {
	case len("connection"):
		if is(name, "connection") {
			closes := is(value, "close")
			h.Close = h.Close || closes
			return closes || is(value, "keep-alive")
		}
	case len("content-type"):
		if is(name, "content-type") {
			return once(&h.ContentType, value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			return takeLength(&h.Length, value)
		}
	case len("transfer-encoding"):
		return !is(name, "transfer-encoding")
	}
	return true
}

// cutLine cuts at the first line end: Other when it is a bare LF, which ends a
// line for net/http, Partial when there is none yet. A bare CR stays in the
// line, where cutHeader and plainTarget refuse it.
func cutLine(data []byte) (line, rest []byte, state State) {
	switch i := bytes.IndexByte(data, '\n'); {
	case i < 0:
		return nil, nil, Partial
	case i == 0 || data[i-1] != '\r':
		return nil, nil, Other
	default:
		return data[:i-1], data[i+1:], Plain
	}
}

// within makes a head that is too large already Other.
func within(data []byte, state State) State {
	if len(data) >= MaxHead {
		return Other
	}
	return state
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

// plainText has no control characters.
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
