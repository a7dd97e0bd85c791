package constellation

import "unicode"

// IsInvisible reports whether r is a control character, a line or paragraph
// separator, or one that turns the direction of the text after it. In a name,
// such a character makes a page or a terminal show something else than is
// there.
func IsInvisible(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
