package support_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/support"
)

// unpacked returns the files of a bundle.
func unpacked(t *testing.T, path string) map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close() //nolint:errcheck // it is read
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(packed); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(data)
	}
}

func part(text string, err error) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return []byte(text), err }
}

// Parts that cannot be had, that are too long or whose names lead elsewhere leave
// the others whole, and the bundle says what is missing.
func TestABundleBearsItsParts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "support.tar.gz")
	a, err := support.Create(support.Options{File: path, Redactor: &support.Redactor{}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	parts := []struct {
		name, text string
		err        error
	}{
		{"good.txt", "as it was\x1b[2J\n", nil},
		{"bad.txt", "", errors.New("no right:\n password=hunter22")},
		{"half.txt", "the half", errors.New("it broke off")},
		{"long.txt", strings.Repeat("x", support.MaxPart) + "the end", nil},
		{"../../etc/../pass wd", "elsewhere", nil},
		{"binary.txt", "\xff\xfe", nil},
	}
	for _, p := range parts {
		if err := a.Part(t.Context(), p.name, part(p.text, p.err)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	files := unpacked(t, path)
	for name, want := range map[string]string{"good.txt": "as it was\\u001b[2J\n", "half.txt": "the half", "_/_/etc/_/pass_wd": "elsewhere", "binary.txt": "�"} {
		if got := files["support/"+name]; got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if long := files["support/long.txt"]; !strings.HasPrefix(long, "[the first 7 bytes are left out]\n") || !strings.HasSuffix(long, "the end") {
		t.Errorf("the long part holds %d bytes: %.60q", len(long), long)
	}
	about := files["support/README.txt"]
	if !strings.Contains(about, "bad.txt: no right: password=[redacted]\n") || !strings.Contains(about, "half.txt: it broke off") || len(files) != 6 {
		t.Errorf("%d files, and it says %s", len(files), about)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want a file for one reader", info.Mode(), err)
	}
}

// A bundle is no larger than it may be, and tells what that left out.
func TestABundleIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "support.tar.gz")
	a, err := support.Create(support.Options{File: path, Redactor: &support.Redactor{}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	a.Most = 1000
	for range 5 {
		if err := a.JSON(t.Context(), "part.json", func(context.Context) (any, error) { return strings.Repeat("x", 300), nil }); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil || len(a.Missing) != 2 || !strings.Contains(a.Missing[0], "as large as it may be") || a.Parts != 4 {
		t.Errorf("%d parts, missing %q, %v", a.Parts, a.Missing, err)
	}
	if files := unpacked(t, path); !strings.Contains(files["support/README.txt"], "as large as it may be") {
		t.Errorf("it says %q", files["support/README.txt"])
	}
}

// A bundle that is not finished leaves nothing, and one that was there stays.
func TestABundleThatIsLeft(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "support.tar.gz")
	if err := os.WriteFile(path, []byte("the one before"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := support.Create(support.Options{File: path, Redactor: &support.Redactor{}, Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = a.Part(ctx, "x", func(context.Context) ([]byte, error) { cancel(); return nil, ctx.Err() })
	if a.Abort(); !errors.Is(err, context.Canceled) {
		t.Errorf("Part = %v, want an interruption", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if data, _ := os.ReadFile(path); err != nil || len(entries) != 1 || string(data) != "the one before" {
		t.Errorf("it left %v with %q, %v", entries, data, err)
	}
	if _, err := support.Create(support.Options{File: t.TempDir(), Redactor: &support.Redactor{}}); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder: %v", err)
	}
}
