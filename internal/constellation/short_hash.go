package constellation

import "strings"

// shortHash is how many digits name a hash among those that somebody has.
const shortHash = 12

// ShortHash returns the digits by which a page or a message names a Git hash, a
// digest ("sha256:…") or the hex of one; of a shorter text, all of it.
func ShortHash(hash string) string {
	hash = strings.TrimPrefix(hash, "sha256:")
	return hash[:min(shortHash, len(hash))]
}
