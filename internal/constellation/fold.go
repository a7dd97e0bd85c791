package constellation

import (
	"strings"
	"unicode"
)

// Fold returns the form of a name under which it is compared, searched and
// ordered: names that differ only by case fold to the same, in any script and
// whatever locale the database has.
func Fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return unicode.ToLower(least)
	}, name)
}
