package constellation

import "strings"

// Nearest returns the candidate with the fewest edits from s, upper and lower
// case being the same.
func Nearest(s string, candidates []string) string {
	best, least := "", -1
	for _, candidate := range candidates {
		if d := Edits(s, candidate); least < 0 || d < least {
			best, least = candidate, d
		}
	}
	return best
}

// Edits returns how many bytes are to be changed, added or taken out to make a
// of b (Levenshtein's distance), upper and lower case being the same.
func Edits(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := previous
			if a[i] != b[j] {
				cost = 1 + min(previous, row[j], row[j+1])
			}
			previous, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
