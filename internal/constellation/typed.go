package constellation

import (
	"net/url"
	"regexp"
	"strings"
)

var typedHash = regexp.MustCompile(`^(?:[0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// ReadAlgorithm returns what somebody typed or pasted as OWNER/NAME/HASH, as far
// as it can be told what is meant: spaces around it, a hash in upper case, an
// algo:// name, the address of a call, of a page or of an image. What it
// cannot tell comes back as it is, for ParseAlgorithmRef to explain.
func ReadAlgorithm(text string) string {
	s := strings.Join(strings.Fields(text), "")
	if rest, ok := strings.CutPrefix(s, "algo://"); ok {
		s = rest
	} else if u, err := url.Parse(s); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		s = u.Path
	}
	s = strings.Trim(s, "/")
	for _, prefix := range []string{"v1/algo/", "v1/algorithms/", "algorithms/", "v2/"} {
		s = strings.TrimPrefix(s, prefix)
	}
	s = strings.Replace(s, "/versions/", "/", 1)
	if at := strings.LastIndexByte(s, ':'); at >= 0 && typedHash.MatchString(s[at+1:]) && !strings.HasSuffix(s[:at], "@sha256") { // an image: HOST/OWNER/NAME:HASH
		s = s[:at] + "/" + s[at+1:]
	}
	parts := strings.Split(s, "/")
	if len(parts) == 4 && strings.ContainsAny(parts[0], ".:") { // with a host before it
		parts = parts[1:]
	}
	if last := len(parts) - 1; typedHash.MatchString(parts[last]) {
		parts[last] = strings.ToLower(parts[last])
	}
	return strings.Join(parts, "/")
}

// ExplainAlgorithm returns what a text lacks to be OWNER/NAME/HASH, in words for
// who typed it; "" when it is one.
func ExplainAlgorithm(s string) string {
	if _, err := ParseAlgorithmRef(s); err == nil {
		return ""
	}
	parts := strings.Split(s, "/")
	switch {
	case s == "":
		return "Which algorithm? Write OWNER/NAME/HASH, or choose one below"
	case len(parts) == 1 && typedHash.MatchString(s):
		return "This is the version hash alone; write the owner and the name before it: OWNER/NAME/" + s
	case len(parts) == 1:
		return "This is one part of three; go on with the algorithm's name and version: " + s + "/NAME/HASH"
	case len(parts) == 2:
		return "The version is missing; choose one below, or write its whole hash after " + s + "/"
	case len(parts) > 3:
		return "An algorithm has three parts, OWNER/NAME/HASH; this has more"
	case !typedHash.MatchString(parts[2]):
		return "The version is the whole hash of a commit, 40 digits of 0-9 and a-f (64 in a SHA-256 repository); “" + shorten(parts[2]) + "” is not. A semantic version such as 1.2.0 can move, so choose its hash below"
	}
	return ""
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 48 {
		return string(r[:47]) + "…"
	}
	return s
}
