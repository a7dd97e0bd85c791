package engine

import (
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// traceContext is a call's place in a distributed trace (W3C Trace Context).
// Without an exporter the engine makes no span of its own and passes the
// caller's context on as it came.
type traceContext struct {
	parent string     // a valid traceparent, or ""
	state  string     // the tracestate that came with it
	span   trace.Span // ours; nil without an exporter
}

// maxTracestate is what the standard asks to pass on at least.
const maxTracestate = 512

// readTrace takes a traceparent of the form 00-32 hex-16 hex-2 hex, and drops
// anything else, with its tracestate, as the standard asks.
func readTrace(parent, state string) traceContext {
	if len(parent) != 55 || parent[:3] != "00-" || parent[35] != '-' || parent[52] != '-' ||
		!isLowerHex(parent[3:35]) || !isLowerHex(parent[36:52]) || !isLowerHex(parent[53:]) ||
		strings.Trim(parent[3:35], "0") == "" || strings.Trim(parent[36:52], "0") == "" {
		return traceContext{}
	}
	if len(state) > maxTracestate || strings.ContainsFunc(state, func(r rune) bool { return r < ' ' || r > '~' }) {
		state = ""
	}
	return traceContext{parent: parent, state: state}
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// id is the trace's, for the access log.
func (t *traceContext) id() string {
	if t.parent == "" {
		return ""
	}
	return t.parent[3:35]
}

// appendHeaders appends what a replica is told of the trace.
func (t *traceContext) appendHeaders(dst []byte) []byte {
	if t.parent == "" {
		return dst
	}
	dst = append(dst, "\r\nTraceparent: "...)
	dst = append(dst, t.parent...)
	if t.state != "" {
		dst = append(dst, "\r\nTracestate: "...)
		dst = append(dst, t.state...)
	}
	return dst
}
