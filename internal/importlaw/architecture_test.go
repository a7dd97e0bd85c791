package importlaw

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheMapIsTheTree holds internal/ARCHITECTURE.md against the tree: each
// path in it is there, and no package is missing from it that a newcomer would
// look for.
func TestTheMapIsTheTree(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "internal", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:cmd|deploy|internal|migrations|web|\\.github)(?:/[A-Za-z0-9_.-]+)*)`").FindAllStringSubmatch(string(text), -1)
	if len(named) < 20 {
		t.Fatalf("the map names %d paths, want the whole house", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
			t.Errorf("the map names %s: %v", m[1], err)
		}
	}
	for _, parent := range []string{"internal", "internal/install", "internal/kube", "internal/satellite"} {
		entries, err := os.ReadDir(filepath.Join(root, parent))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := e.Name()
			forTests := strings.HasSuffix(name, "test") || slices.Contains([]string{"importlaw", "testdata"}, name)
			if e.IsDir() && !forTests && !strings.Contains(string(text), name) {
				t.Errorf("the map lacks %s/%s", parent, name)
			}
		}
	}
}
