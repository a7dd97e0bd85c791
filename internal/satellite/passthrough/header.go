package passthrough

import (
	"net"
	"net/http"
	"net/textproto"
	"strings"
)

// hopByHop are the headers of one connection (RFC 9110, 7.6.1), which are not
// passed on.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings",
}

// removeHopByHop removes what concerns one connection alone, and what its
// Connection header names.
func removeHopByHop(h http.Header) {
	for _, value := range h["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			h.Del(textproto.TrimString(name))
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// hasToken reports whether a header that is a list of tokens has one, without
// regard to case.
func hasToken(h http.Header, name, token string) bool {
	for _, value := range h[name] {
		for have := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(textproto.TrimString(have), token) {
				return true
			}
		}
	}
	return false
}

// requestHeader returns what a replica is told of the caller's headers: not what
// the caller proves to the engine who they are with, and of cookies those that
// the algorithm set.
func (x *Exchange) requestHeader(in *http.Request) http.Header {
	h := in.Header.Clone()
	trailers := hasToken(in.Header, "Te", "trailers")
	removeHopByHop(h)
	delete(h, "Authorization")
	delete(h, "Expect") // the engine has said 100 already
	if trailers {
		h["Te"] = []string{"trailers"}
	}
	x.opts.Cookies.take(h)
	host, _, err := net.SplitHostPort(in.RemoteAddr)
	if prior := h["X-Forwarded-For"]; err == nil {
		h["X-Forwarded-For"] = []string{strings.Join(append(prior, host), ", ")}
	}
	setDefault(h, "X-Forwarded-Host", in.Host)
	setDefault(h, "X-Forwarded-Proto", "http")
	h["X-Forwarded-Prefix"] = []string{x.opts.Prefix}
	h["X-Request-Id"] = []string{x.opts.RequestID}
	delete(h, "Traceparent")
	delete(h, "Tracestate")
	setDefault(h, "Traceparent", x.opts.Traceparent)
	setDefault(h, "Tracestate", x.opts.Tracestate)
	if h["User-Agent"] == nil {
		h["User-Agent"] = []string{""} // else the client names itself
	}
	return h
}

func setDefault(h http.Header, name, value string) {
	if h[name] == nil && value != "" {
		h[name] = []string{value}
	}
}

// answerHeader puts a replica's headers into those that the caller gets.
func (x *Exchange) answerHeader(to http.Header, res *http.Response) {
	h := res.Header
	removeHopByHop(h)
	x.opts.Cookies.mark(h)
	if location := h["Location"]; len(location) == 1 {
		location[0] = x.opts.below(location[0])
	}
	for name, values := range h {
		if to[name] == nil { // what the engine says of itself stands
			to[name] = values
		}
	}
	if h["Content-Type"] == nil {
		to["Content-Type"] = nil // else net/http guesses
	}
}

// below returns a path of the replica's as its callers have it. What is another
// host's, or not below the algorithm's path, stays.
func (o *Options) below(location string) string {
	base := strings.TrimSuffix(o.Base, "/")
	rest, ok := strings.CutPrefix(location, base)
	if !ok || !strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || rest != "" && !strings.ContainsAny(rest[:1], "/?#") {
		return location
	}
	return o.Prefix + rest
}
