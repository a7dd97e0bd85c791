package e2e

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

//go:embed testdata/postgres/docker-entrypoint.sh
var postgresEntrypoint []byte

const postgresUser = "999" // of the stock image

// postgresImage makes an image of this machine's own PostgreSQL: its programs, what
// they load, and an entrypoint that does what the stock image's does.
func postgresImage(t *testing.T) v1.Image {
	t.Helper()
	homes, err := filepath.Glob("/usr/lib/postgresql/*")
	if err != nil || len(homes) == 0 {
		t.Fatal("needs Debian's PostgreSQL: apt-get install postgresql")
	}
	home := homes[len(homes)-1]
	files := &rootLayer{seen: map[string]bool{}}
	files.data("etc/passwd", 0o644, []byte("root:x:0:0:root:/:/nologin\npostgres:x:"+postgresUser+":"+postgresUser+":postgres:/:/bin/sh\n"))
	files.data("etc/group", 0o644, []byte("root:x:0:\npostgres:x:"+postgresUser+":\n"))
	files.data("docker-entrypoint.sh", 0o755, postgresEntrypoint)
	files.tree(t, "/usr/share/postgresql/"+filepath.Base(home), nil)
	files.tree(t, "/usr/share/zoneinfo/Etc", nil)
	files.file(t, "/usr/share/zoneinfo/UTC")
	files.tree(t, home+"/lib", regexp.MustCompile(`\.so$`))
	for _, program := range []string{home + "/bin/postgres", home + "/bin/initdb", "/bin/sh"} {
		files.program(t, program)
	}
	return files.image(t, v1.Config{
		Entrypoint: []string{"/bin/sh", "/docker-entrypoint.sh"}, User: postgresUser,
		Env: []string{"PATH=" + home + "/bin:/bin", "TZ=UTC", "LC_ALL=C"},
	})
}

// rootLayer is files of this machine, as a layer.
type rootLayer struct {
	buffer bytes.Buffer
	tar    *tar.Writer
	seen   map[string]bool
	err    error
}

func (l *rootLayer) data(path string, mode int64, data []byte) {
	if l.seen[path] {
		return
	}
	l.seen[path] = true
	if l.tar == nil {
		l.tar = tar.NewWriter(&l.buffer)
	}
	err := l.tar.WriteHeader(&tar.Header{Name: path, Mode: mode, Size: int64(len(data)), Typeflag: tar.TypeReg, Format: tar.FormatPAX})
	if err == nil {
		_, err = l.tar.Write(data)
	}
	l.err = errors.Join(l.err, err)
}

// file takes a file, following links.
func (l *rootLayer) file(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l.data(strings.TrimPrefix(path, "/"), 0o755, data)
}

// tree takes a folder's files: all, or those whose names match.
func (l *rootLayer) tree(t *testing.T, dir string, names *regexp.Regexp) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && (names == nil || names.MatchString(path)) && !strings.Contains(path, "llvmjit") {
			l.file(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// program takes a program and the libraries that it loads.
func (l *rootLayer) program(t *testing.T, path string) {
	t.Helper()
	l.file(t, path)
	out, err := exec.CommandContext(t.Context(), "ldd", path).Output()
	if err != nil {
		t.Fatalf("ldd %s: %v", path, err)
	}
	for _, library := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(out, -1) {
		l.file(t, string(library[1]))
	}
}

func (l *rootLayer) image(t *testing.T, config v1.Config) v1.Image {
	t.Helper()
	if err := errors.Join(l.err, l.tar.Close()); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l.buffer.Bytes())), nil }, tarball.WithCompressionLevel(1))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	old, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file := old.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	if image, err = mutate.ConfigFile(image, file); err != nil {
		t.Fatal(err)
	}
	return image
}

// nextProgram is a copy of the mothership that is another program, as the next
// version is.
func nextProgram(t *testing.T, program string) string {
	t.Helper()
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "mothership")
	if err := os.WriteFile(next, slices.Concat(data, []byte("next")), 0o755); err != nil {
		t.Fatal(err)
	}
	return next
}
