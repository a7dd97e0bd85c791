package api

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// shownPath is a path of the API in a text, with its method where it has one.
	shownPath = regexp.MustCompile("(?:(GET|POST|PUT|PATCH|DELETE) )?(?:\\{\\{url\\}\\}|https?://[\\w.:-]+)?(/v1/[^\\s`\"'|),;?]+)")
	// satellitePath is one that a satellite's engines answer, as their tests see.
	satellitePath = regexp.MustCompile(`^/v1/(algo|web/algo|status|insights|async|batch)\b`)
)

// TestTheGuideNamesOperations: each path that README and guide name is one of
// the API, and has the method that they name.
func TestTheGuideNamesOperations(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../web/docs/guide/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "../../README.md") {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range operationsIn(string(data)) {
			if found++; !isOperation(name) {
				t.Errorf("%s names %s, which the API does not have", filepath.Base(file), name)
			}
		}
	}
	if found < 4 {
		t.Errorf("README and guide name %d paths of the API; want more, or the test says little", found)
	}
	for name, want := range map[string]bool{ // what would be told, and what not
		"GET /v1/algorithms/…/versions": true, "POST /v1/algorithms/…/versions": true, "PUT /v1/algorithms/OWNER/NAME/versions": false,
		"GET /v1/algorithms/OWNER/NAME": true, "GET /v1/algorithms/OWNER": false, "/v1/algorithm": false, "/v1/satellites": true,
	} {
		if got := isOperation(name); got != want {
			t.Errorf("isOperation(%q) = %v, want %v", name, got, want)
		}
	}
}

// operationsIn returns the paths of a text with their methods, where it has them.
func operationsIn(text string) (names []string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		for _, m := range shownPath.FindAllStringSubmatch(line, -1) {
			method, path := m[1], strings.TrimRight(m[2], "/.:")
			switch {
			case satellitePath.MatchString(path):
				continue
			case method != "" || !strings.Contains(line, "curl "):
			case strings.Contains(line, " -d "):
				method = "POST"
			default:
				method = "GET"
			}
			names = append(names, strings.TrimSpace(method+" "+path))
		}
	}
	return names
}

// isOperation reports whether the document has "METHOD PATH", or PATH with any
// method. … in a path is one or more of its parts.
func isOperation(name string) bool {
	method, path, ok := strings.Cut(name, " ")
	if !ok {
		method, path = "", name
	}
	before, after, short := strings.Cut(path, "…")
	return slices.ContainsFunc(contract().routes, func(r conformRoute) bool {
		named := r.pattern.MatchString(path)
		if short {
			named = strings.HasPrefix(r.path, before) && strings.HasSuffix(r.path, after) && len(r.path) > len(before)+len(after)
		}
		return named && (method == "" || r.method == method)
	})
}
