package constellation

import (
	"regexp"
	"strings"
	"time"
)

// nearHash is a tag, or the last part of one, that is a Git hash but for its
// case or a digit or two.
var nearHash = regexp.MustCompile(`^(?:.*[-_.])?([0-9A-Fa-f]{38,42}|[0-9A-Fa-f]{62,66})$`)

// digestTag is a tag under which clients keep what belongs to a digest:
// referrers by the OCI fallback schema, signatures by cosign's.
var digestTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

// NearGitHash reports whether a tag is so nearly a Git hash that whoever
// pushed it must have meant a version, such as sha-HASH, HASH in upper case or
// one with a digit missing. meant is the hash that the tag has in it, "" where
// it has none.
func NearGitHash(tag string) (meant string, near bool) {
	if IsGitHash(tag) || digestTag.MatchString(tag) {
		return "", false
	}
	m := nearHash.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	if hash := strings.ToLower(m[1]); IsGitHash(hash) {
		return hash, true
	}
	return "", true
}

// PushedTag is a tag in the registry that is no version of an algorithm, since
// it is no Git hash.
type PushedTag struct {
	Repository string // lower case, such as "neo/hello"
	Tag        string
	Digest     string
	PushedAt   time.Time
	PushedBy   string
	GitHash    string // of the version that is the same image, "" when there is none
}
