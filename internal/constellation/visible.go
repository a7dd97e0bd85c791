package constellation

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Visible is text with whatever a terminal would obey made visible; lines and tabs
// stay.
func Visible(text string) string {
	if strings.IndexFunc(text, Obeyed) < 0 && utf8.ValidString(text) {
		return text
	}
	var b strings.Builder
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") { // a byte that is no character is U+FFFD
		if Obeyed(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Obeyed reports whether a terminal does something at a character other than to show it.
func Obeyed(r rune) bool { return r != '\n' && r != '\t' && IsInvisible(r) }
