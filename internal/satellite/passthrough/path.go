package passthrough

import (
	"errors"
	"net/url"
	"strings"
)

// ErrPath is why a path is not passed on, for its caller.
var ErrPath = errors.New("the path has a segment such as '..', as it is or percent-encoded, or a control character: write the path that is meant")

// maxEncoded is how often a path may be percent-encoded.
const maxEncoded = 3

// Target returns the path at a replica of what stands below an algorithm's
// vanity URL: base and rest, both percent-encoded, and rest "" or with its
// first slash. What rest has is passed on as it was written: empty segments,
// %2F, ';' and '\' too. It is refused only when somebody who decodes it, or takes
// '\' for '/' or cuts parameters off, would leave base by it.
func Target(base, rest string) (*url.URL, error) {
	for decoded, n := rest, 0; ; n++ {
		if leaves(decoded) {
			return nil, ErrPath
		}
		next, err := url.PathUnescape(decoded)
		if err != nil && n == 0 || n > maxEncoded {
			return nil, ErrPath
		}
		if err != nil || next == decoded {
			break
		}
		decoded = next
	}
	raw := base
	if rest != "" {
		raw = strings.TrimSuffix(base, "/") + rest
	}
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, ErrPath
	}
	return &url.URL{Scheme: "http", Path: path, RawPath: escaped(raw, inPath)}, nil
}

// leaves reports whether a path has a dot segment or a control character.
func leaves(path string) bool {
	if strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return true
	}
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

// inPath reports whether a path may have a character as it is; net/url writes one
// with any other anew, without what was percent-encoded of it.
func inPath(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~!$&'()*+,;=:@[]%/", c) >= 0
}

// escaped returns a text with all but what is allowed percent-encoded.
func escaped(raw string, allowed func(c byte) bool) string {
	const hex = "0123456789ABCDEF"
	for i := range len(raw) {
		if allowed(raw[i]) {
			continue
		}
		out := []byte(raw[:i])
		for _, c := range []byte(raw[i:]) {
			if allowed(c) {
				out = append(out, c)
			} else {
				out = append(out, '%', hex[c>>4], hex[c&15])
			}
		}
		return string(out)
	}
	return raw
}
