package identity

import (
	"strings"
)

// scope is what an identity may call: vanity URLs, "foo/*" for all below foo, and
// "*" for all. An empty one is nothing.
type scope []string

// may reports whether the scope has the vanity URL.
func (s scope) may(vanityURL string) bool {
	for _, pattern := range s {
		if pattern == "*" || pattern == vanityURL {
			return true
		}
		if stem, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(stem, "/") && strings.HasPrefix(vanityURL, stem) {
			return true
		}
	}
	return false
}

// everything is the scope of an identity that nothing limits.
func everything(string) bool { return true }

// Bounds of what a claim lists.
const (
	maxScope   = 1000
	maxPattern = 512
)

// readScope reads a claim: a list of texts, or one text with spaces between its
// entries as in "scope". Entries without the prefix are of something else.
func readScope(claim any, prefix string) scope {
	var entries []string
	switch claim := claim.(type) {
	case string:
		entries = strings.Fields(claim)
	case []any:
		for _, entry := range claim {
			if text, ok := entry.(string); ok {
				entries = append(entries, text)
			}
		}
	}
	s := scope{}
	for _, entry := range entries[:min(len(entries), maxScope)] {
		if pattern, ok := strings.CutPrefix(entry, prefix); ok && pattern != "" && len(pattern) <= maxPattern {
			s = append(s, pattern)
		}
	}
	return s
}
