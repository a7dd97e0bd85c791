package passthrough

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/textproto"
	"strings"
)

// Cookies keeps an algorithm's cookies apart from everybody else's at the same
// host: each is the caller's under a name that begins with the algorithm's mark,
// and comes back to that algorithm alone, under its own name.
type Cookies struct {
	prefix string
	path   string
}

// NewCookies returns the cookies of the algorithm whose calls' paths begin with
// prefix.
func NewCookies(prefix string) Cookies {
	sum := sha256.Sum256([]byte(prefix))
	return Cookies{prefix: "cst-" + hex.EncodeToString(sum[:6]) + "-", path: prefix}
}

// take leaves in a request's headers the algorithm's own cookies.
func (c Cookies) take(h http.Header) {
	var own []string
	for _, line := range h["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			if pair, ok := strings.CutPrefix(textproto.TrimString(pair), c.prefix); ok {
				own = append(own, pair)
			}
		}
	}
	delete(h, "Cookie")
	if own != nil {
		h["Cookie"] = []string{strings.Join(own, "; ")}
	}
}

// mark renames the cookies that an answer sets, and confines them to the
// algorithm's path at this host.
func (c Cookies) mark(h http.Header) {
	for i, line := range h["Set-Cookie"] {
		pair, attributes, _ := strings.Cut(line, ";")
		out := c.prefix + textproto.TrimString(pair) + "; Path=" + c.path
		for attribute := range strings.SplitSeq(attributes, ";") {
			attribute = textproto.TrimString(attribute)
			name, _, _ := strings.Cut(attribute, "=")
			if name != "" && !strings.EqualFold(name, "path") && !strings.EqualFold(name, "domain") {
				out += "; " + attribute
			}
		}
		h["Set-Cookie"][i] = out
	}
}
