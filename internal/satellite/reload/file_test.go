package reload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/config"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// TestFile: each content is applied once, each problem is returned once, and what
// is refused leaves the content in use.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "routes.json")
	refused := errors.New("refused")
	var got string
	f := NewFile(dir, "routes.json", func(content []byte) error {
		if string(content) == "bad" {
			return refused
		}
		got += string(content)
		return nil
	})
	load := func(wantApplied bool, wantErr error, inUse string) {
		t.Helper()
		applied, err := f.Load()
		if applied != wantApplied || !errors.Is(err, wantErr) {
			t.Errorf("Load = %v, %v, want %v, %v", applied, err, wantApplied, wantErr)
		}
		if inUse != "" && f.Digest() != config.Digest([]byte(inUse)) {
			t.Errorf("the content in use is not %q", inUse)
		}
	}
	load(false, os.ErrNotExist, "")
	load(false, nil, "")
	write(t, path, "a")
	load(true, nil, "a")
	load(false, nil, "a")
	write(t, path, "a")
	load(false, nil, "a")
	write(t, path, "bad")
	load(false, refused, "a")
	write(t, path, "bad")
	load(false, nil, "a")
	if f.Problem() != "refused" {
		t.Errorf("Problem = %q, want why the file is refused", f.Problem())
	}
	write(t, path, "a")
	load(true, nil, "a")
	if f.Problem() != "" {
		t.Errorf("Problem = %q of a file that is in use", f.Problem())
	}
	if got != "aa" {
		t.Errorf("applied %q, want a, and again once it is back", got)
	}
}

// TestProbe: a question is pending until it is acknowledged, and asked once.
func TestProbe(t *testing.T) {
	dir := t.TempDir()
	p := NewProbe(dir)
	pending := func(want string) {
		t.Helper()
		p.Read()
		if id, _, ok := p.Pending(); ok != (want != "") || ok && id != want {
			t.Errorf("pending %q, %v, want %q", id, ok, want)
		}
	}
	pending("")
	write(t, filepath.Join(dir, config.ProbeFile), "one\n")
	pending("one")
	pending("one")
	p.Acknowledge()
	pending("")
	write(t, filepath.Join(dir, config.ProbeFile), "two")
	pending("two")
}
