package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// source notices what was saved.
type source struct {
	root  string
	files map[string]file
}

// version tells one state of what the server is built of from another.
func (s *source) version() [sha256.Size]byte {
	all := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(s.files)) {
		if !s.static(path) {
			sum := s.files[path].sum
			_, _ = all.Write(append([]byte(path), sum[:]...))
		}
	}
	return [sha256.Size]byte(all.Sum(nil))
}

// file is a file as it was last seen.
type file struct {
	modified time.Time
	size     int64
	sum      [sha256.Size]byte
}

// change is what a change asks for.
type change struct {
	server bool // to be built and started again
	static bool // browsers are to load again
}

// built are the folders that a mothership is built of, and beside them files.
var built = []string{"cmd", "internal", "migrations", "web", "deploy", "go.mod"}

// compiled are the names of files that are compiled or embedded.
var compiled = []string{".go", ".sql", ".md", ".json", ".png", ".mod", ".yaml"}

func newSource(root string) *source {
	s := &source{root: root, files: map[string]file{}}
	_, _ = s.changed() // what is there now; what cannot be read is told later
	return s
}

// changed reports what changed since it was last called.
func (s *source) changed() (change, error) {
	var c change
	seen := map[string]bool{}
	for _, top := range built {
		err := filepath.WalkDir(filepath.Join(s.root, top), func(path string, entry fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) { // an editor replaces it in this moment
				return nil
			}
			if err != nil {
				return err
			}
			switch name := entry.Name(); {
			case entry.IsDir() && (name == "testdata" || name == "devcluster" || name == "tools"):
				return filepath.SkipDir
			case entry.IsDir() || strings.HasSuffix(name, "_test.go"):
				return nil
			}
			static := s.static(path)
			if !static && !slices.Contains(compiled, filepath.Ext(path)) {
				return nil
			}
			changed, err := s.look(path, entry)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			seen[path] = true
			if changed && static {
				c.static = true
			} else if changed {
				c.server = true
			}
			return err
		})
		if err != nil {
			return c, fmt.Errorf("look at the source: %w", err)
		}
	}
	for path := range s.files {
		if !seen[path] {
			delete(s.files, path)
			c.server = c.server || !s.static(path)
			c.static = c.static || s.static(path)
		}
	}
	return c, nil
}

// static reports whether the server reads a file of pages from disk.
func (s *source) static(path string) bool {
	return filepath.Dir(path) == filepath.Join(s.root, "web", "static") && filepath.Ext(path) != ".go"
}

// look reports whether a file has other contents than when it was last seen.
func (s *source) look(path string, entry fs.DirEntry) (bool, error) {
	info, err := entry.Info()
	if err != nil {
		return false, err
	}
	before, known := s.files[path]
	now := file{modified: info.ModTime(), size: info.Size(), sum: before.sum}
	if known && before.modified.Equal(now.modified) && before.size == now.size {
		return false, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	if strings.HasSuffix(path, "_templ.go") {
		data = pageText.ReplaceAll(data, nil)
	}
	now.sum = sha256.Sum256(data)
	s.files[path] = now
	return !known || before.sum != now.sum, nil
}

// pageText is what a page's code has of its text, and of where it is in the
// .templ file. A server that runs reads both from templ's own files.
var pageText = regexp.MustCompile(`(?m)templruntime\.WriteString\(.*$|templ\.Error\{.*$|, Line: \d+, Col: \d+`)
