package importlaw

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A package that outgrows these does more than one thing: it is taken apart
// along its seam before it grows on.
const (
	maxFiles = 25
	maxLines = 3000
)

// smallIn are the trees whose packages stay small.
var smallIn = []string{"internal/satellite", "internal/install", "internal/kube"}

// generatedLine is how tools mark what they made (go help generate).
var generatedLine = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)

// TestPackagesStaySmall counts what people wrote and others have to read: no
// tests, nothing that a tool made.
func TestPackagesStaySmall(t *testing.T) {
	root := filepath.Join("..", "..")
	files, lines := map[string]int{}, map[string]int{}
	for _, tree := range smallIn {
		err := filepath.WalkDir(filepath.Join(root, tree), func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if e.IsDir() && e.Name() == "testdata" {
				return filepath.SkipDir
			}
			if e.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !generatedLine.Match(text) {
				dir := filepath.Dir(path)
				files[dir]++
				lines[dir] += bytes.Count(text, []byte("\n"))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 30 {
		t.Fatalf("%d packages are below %v, want all of them", len(files), smallIn)
	}
	for dir := range files {
		if files[dir] > maxFiles || lines[dir] > maxLines {
			t.Errorf("%s has %d files and %d lines, and may have %d and %d: take it apart along its seam",
				strings.TrimPrefix(dir, root+string(filepath.Separator)), files[dir], lines[dir], maxFiles, maxLines)
		}
	}
}
