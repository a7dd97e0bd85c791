package protocol

import (
	"strings"
)

// Trace is a call's place in a distributed trace (W3C Trace Context):
// the caller's, or that of the engine's own span below it.
type Trace struct {
	Parent string // a valid traceparent, or ""
	State  string // the tracestate that came with it
}

// maxTracestate is what the standard asks to pass on at least.
const maxTracestate = 512

// ReadTrace takes a traceparent of the form 00-32 hex-16 hex-2 hex, and drops
// anything else, with its tracestate, as the standard asks.
func ReadTrace(parent, state string) Trace {
	if len(parent) != 55 || parent[:3] != "00-" || parent[35] != '-' || parent[52] != '-' ||
		!isLowerHex(parent[3:35]) || !isLowerHex(parent[36:52]) || !isLowerHex(parent[53:]) ||
		strings.Trim(parent[3:35], "0") == "" || strings.Trim(parent[36:52], "0") == "" {
		return Trace{}
	}
	if len(state) > maxTracestate || strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' }) {
		state = ""
	}
	return Trace{Parent: parent, State: state}
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// TraceID returns the trace's ID, or "".
func (t *Trace) TraceID() string {
	if t.Parent == "" {
		return ""
	}
	return t.Parent[3:35]
}

// appendHeaders appends what a replica gets of the trace.
func (t *Trace) appendHeaders(dst []byte) []byte {
	if t.Parent == "" {
		return dst
	}
	dst = append(dst, "\r\nTraceparent: "...)
	dst = append(dst, t.Parent...)
	if t.State != "" {
		dst = append(dst, "\r\nTracestate: "...)
		dst = append(dst, t.State...)
	}
	return dst
}
