package passthrough

import (
	"net/url"
	"path"
	"strings"
	"testing"
)

func TestTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ base, rest, want string }{
		{"/", "", "/"},
		{"/", "/", "/"},
		{"/", "/v2/models", "/v2/models"},
		{"/api", "", "/api"},
		{"/api", "/", "/api/"},
		{"/api/", "/v2", "/api/v2"},
		{"/a%20b", "/v2", "/a%20b/v2"},
		{"/", "//x", "//x"},
		{"/", "/a%2Fb;c=%5C/...", "/a%2Fb;c=%5C/..."},
		{"/", "/100%25", "/100%25"},
		{"/", "/..", ""},
		{"/", "/a/../b", ""},
		{"/", "/a/.", ""},
		{"/", "/%2e%2E/b", ""},
		{"/", "/a%2f..%2fb", ""},
		{"/", "/a%5C..%5Cb", ""},
		{"/", "/..;x/b", ""},
		{"/", "/..%3bx/b", ""},
		{"/", "/%252e%252e/b", ""},
		{"/", "/%25252525252e%25252525252e/b", ""},
		{"/", "/a%00", ""},
		{"/", "/a%0d%0ab", ""},
		{"/", "/%", ""},
	} {
		got, err := Target(test.base, test.rest)
		if (err == nil) != (test.want != "") {
			t.Errorf("Target(%q, %q) = %v, %v; want %q", test.base, test.rest, got, err, test.want)
			continue
		}
		if err == nil && got.RequestURI() != test.want {
			t.Errorf("Target(%q, %q) = %q, want %q", test.base, test.rest, got.RequestURI(), test.want)
		}
	}
}

// Whoever decodes a path, however often, and takes backslashes for slashes and
// cuts parameters off, stays below the algorithm's path.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"/v2/x", "/..", "/%2e%2e/x", "/a%2f..%2fb", "/..;a/b", "/%255c..", "/a\\..\\b", "//", "/%00", "/%25%32%65"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, rest string) {
		u, err := url.ParseRequestURI("/p" + rest)
		if err != nil || !strings.HasPrefix(u.EscapedPath(), "/p/") {
			return
		}
		rest = strings.TrimPrefix(u.EscapedPath(), "/p")
		target, err := Target("/base", rest)
		if err != nil {
			return
		}
		line := target.RequestURI()
		if line != "/base"+rest {
			t.Fatalf("Target(%q) = %q, want it verbatim", rest, line)
		}
		for read := line; ; {
			flat := strings.ReplaceAll(read, `\`, "/")
			segments := strings.Split(flat, "/")
			for i := range segments {
				segments[i], _, _ = strings.Cut(segments[i], ";")
			}
			if clean := path.Clean(strings.Join(segments, "/")); clean != "/base" && !strings.HasPrefix(clean, "/base/") {
				t.Fatalf("Target(%q) = %q, which is read as %q", rest, line, clean)
			}
			next, err := url.PathUnescape(read)
			if err != nil || next == read {
				return
			}
			read = next
		}
	})
}
