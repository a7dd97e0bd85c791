package importlaw

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheMapIsTheTree holds internal/ARCHITECTURE.md against the tree: each
// path in it is there, and every package below internal is in it.
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
	inMap := map[string]bool{}
	for _, m := range named {
		inMap[m[1]] = true
	}
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		if entry.Name() == "testdata" {
			return fs.SkipDir
		}
		files, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || len(files) == 0 {
			return err
		}
		if name := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))); !inMap[name] {
			t.Errorf("the map lacks %s: a row of internal/ARCHITECTURE.md says what it is for and what it does not know", name)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
