package component

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tailLength is how many characters of a long value stay in sight after the
// cut.
const tailLength = 8

// split is where the tail of a long value begins, between characters.
func split(s string) int {
	at := len(s)
	for range tailLength {
		_, size := utf8.DecodeLastRuneInString(s[:at])
		at -= size
	}
	return at
}

func head(s string) string { return s[:split(s)] }
func tail(s string) string { return s[split(s):] }

// Sentence is an error's message as one for people to read: it starts large
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

// Reason is why something is as it is, as a sentence. It may begin with a vanity
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
