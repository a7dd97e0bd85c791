package component

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sentence returns an error's message as one for people to read: it starts large
// and ends with a full stop.
func Sentence(s string) string {
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return ""
	}
	s = string(unicode.ToUpper(r)) + s[size:]
	if !strings.HasSuffix(s, ".") && !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, "!") {
		s += "."
	}
	return s
}

// Reason returns why something is as it is, as a sentence. It may begin with a vanity
// URL, which keeps its case.
func Reason(s string) string {
	if first, _, _ := strings.Cut(s, " "); strings.Contains(first, "/") {
		return FullStop(s)
	}
	return Sentence(s)
}

// FullStop ends a sentence whose first word keeps its case, such as the name of
// a pod.
func FullStop(s string) string {
	if s == "" || strings.HasSuffix(s, ".") || strings.HasSuffix(s, "?") || strings.HasSuffix(s, "!") {
		return s
	}
	return s + "."
}
