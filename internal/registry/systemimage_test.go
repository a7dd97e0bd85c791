package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/constellation-serving/constellation/internal/bundle"
	"github.com/constellation-serving/constellation/internal/constellation"
)

// buildProgram compiles a small static program, as make build does with the
// mothership.
func buildProgram(t *testing.T, output string) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the system image is made from a Linux binary: run this test on Linux")
	}
	dir := t.TempDir()
	source := fmt.Sprintf("package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(%q + os.Args[0]) }\n", output)
	for name, data := range map[string]string{"main.go": source, "go.mod": "module program\n\ngo 1.26\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "program")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a program: %v\n%s", err, out)
	}
	return program
}

func testCABundle(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, []byte("certificate authorities"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustSystem(t *testing.T, s *Storage, config SystemImageConfig) bundle.System {
	t.Helper()
	system, err := StartSystemImage(t.Context(), s, config).System(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return system
}

func TestSystemImageReproducible(t *testing.T) {
	t.Parallel()
	config := SystemImageConfig{Version: "v1.0.0+dirty", Executable: buildProgram(t, "one"), CABundle: testCABundle(t)}
	dir := t.TempDir()
	s := openTestStorage(t, dir)
	first := mustSystem(t, s, config)
	want := bundle.Image{Repository: "constellation/system", Digest: first.Image.Digest, MediaType: v1.MediaTypeImageManifest, Platforms: []string{"linux/" + runtime.GOARCH}}
	if diff := cmp.Diff(bundle.System{Version: "v1.0.0+dirty", Image: want}, first); diff != "" {
		t.Errorf("system image (-want +got):\n%s", diff)
	}
	if again := mustSystem(t, openTestStorage(t, t.TempDir()), config); again.Image.Digest != first.Image.Digest {
		t.Errorf("another storage gives digest %s, want %s", again.Image.Digest, first.Image.Digest)
	}
	// A second start packs nothing: it works with the blobs unwritable.
	if again := mustSystem(t, openTestStorage(t, dir), config); again.Image.Digest != first.Image.Digest {
		t.Errorf("a second start gives digest %s, want %s", again.Image.Digest, first.Image.Digest)
	}
	if n := countUploads(t, dir); n != 0 {
		t.Errorf("%d uploads are left behind", n)
	}
	// A blob is lost: the image is made again.
	manifest, err := s.Manifest(t.Context(), first.Image.Repository, first.Image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(manifest, &doc); err != nil {
		t.Fatal(err)
	}
	hex := doc.Layers[1].Digest.Encoded()
	if err := os.RemoveAll(filepath.Join(dir, "docker/registry/v2/blobs/sha256", hex[:2], hex)); err != nil {
		t.Fatal(err)
	}
	if again := mustSystem(t, s, config); again.Image.Digest != first.Image.Digest {
		t.Errorf("made again it has digest %s, want %s", again.Image.Digest, first.Image.Digest)
	}
	if blob, _, err := s.Blob(t.Context(), first.Image.Repository, doc.Layers[1].Digest.String()); err != nil {
		t.Errorf("the lost layer is not back: %v", err)
	} else if err := blob.Close(); err != nil {
		t.Error(err)
	}
}

func countUploads(t *testing.T, dir string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "docker/registry/v2/repositories/constellation/system/_uploads/*/*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestSystemImageRebuilt shows a version's tag moving to a new binary, with
// the old image still there for the launches that pin it.
func TestSystemImageRebuilt(t *testing.T) {
	t.Parallel()
	s := openTestStorage(t, t.TempDir())
	ca := testCABundle(t)
	one := mustSystem(t, s, SystemImageConfig{Version: "dev", Executable: buildProgram(t, "one"), CABundle: ca})
	two := mustSystem(t, s, SystemImageConfig{Version: "dev", Executable: buildProgram(t, "two"), CABundle: ca})
	if one.Image.Digest == two.Image.Digest {
		t.Fatal("two binaries give one digest")
	}
	repo, err := s.named(t.Context(), "constellation/system")
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := repo.Tags(t.Context()).Get(t.Context(), "dev")
	if err != nil || descriptor.Digest.String() != two.Image.Digest {
		t.Errorf("tag dev is %s, %v, want %s", descriptor.Digest, err, two.Image.Digest)
	}
	if _, err := s.Manifest(t.Context(), "constellation/system", one.Image.Digest); err != nil {
		t.Errorf("the old image is gone: %v", err)
	}
}

// TestSystemImageLayout unpacks the image and runs it.
func TestSystemImageLayout(t *testing.T) {
	t.Parallel()
	s := openTestStorage(t, t.TempDir())
	system := mustSystem(t, s, SystemImageConfig{Version: "dev", Executable: buildProgram(t, "I am "), CABundle: testCABundle(t)})
	manifest, err := s.Manifest(t.Context(), system.Image.Repository, system.Image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var doc document
	if err := json.Unmarshal(manifest, &doc); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	var got []string
	for _, layer := range doc.Layers {
		got = append(got, unpack(t, s, layer, root)...)
	}
	want := []string{
		"etc/ 0755 0", "etc/group 0644 0", "etc/nsswitch.conf 0644 0", "etc/passwd 0644 0", "etc/ssl/ 0755 0",
		"etc/ssl/certs/ 0755 0", "etc/ssl/certs/ca-certificates.crt 0644 0", "home/ 0755 0", "home/algo/ 0755 65532",
		"home/algo/deployment/ 0755 65532", "tmp/ 1777 0", "var/ 0755 0", "var/lib/ 0755 0", "var/lib/constellation/ 0700 65532",
		"usr/ 0755 0", "usr/bin/ 0755 0", "usr/bin/algo-install 0777 0", "usr/bin/mothership 0755 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	out, err := exec.CommandContext(t.Context(), filepath.Join(root, "usr/bin/algo-install")).Output() //nolint:gosec // our own program
	if err != nil || !strings.HasSuffix(string(out), "/usr/bin/algo-install") {
		t.Errorf("algo-install of the image says %q, %v", out, err)
	}
}

// unpack writes a layer's files and returns name, mode and owner of each.
func unpack(t *testing.T, s *Storage, layer v1.Descriptor, root string) []string {
	t.Helper()
	blob, _, err := s.Blob(t.Context(), "constellation/system", layer.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = blob.Close() }()
	plain, err := gzip.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, fmt.Sprintf("%s %04o %d", header.Name, header.Mode, header.Uid))
		path := filepath.Join(root, header.Name) //nolint:gosec // our own archive
		switch header.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o700)
		case tar.TypeSymlink:
			err = os.Symlink(header.Linkname, path)
		default:
			var data []byte
			if data, err = io.ReadAll(archive); err == nil {
				err = os.WriteFile(path, data, 0o700) //nolint:gosec // a program to be run
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestSystemImageGivenUp shows that stopping half way leaves nothing in the
// way of the next start.
func TestSystemImageGivenUp(t *testing.T) {
	t.Parallel()
	s := openTestStorage(t, t.TempDir())
	var logged bytes.Buffer
	config := SystemImageConfig{
		Version: "dev", Executable: buildProgram(t, ""), CABundle: testCABundle(t), Log: slog.New(slog.NewTextHandler(&logged, nil)),
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := StartSystemImage(ctx, s, config).System(t.Context()); constellation.KindOf(err) != constellation.KindUnavailable {
		t.Errorf("an image that was given up gives %v, want an unavailable error", err)
	}
	if strings.Contains(logged.String(), "ERROR") || !strings.Contains(logged.String(), "given up") {
		t.Errorf("stopping is no error, but the log says:\n%s", &logged)
	}
	mustSystem(t, s, config)
}

func TestSystemImageRefuses(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		config SystemImageConfig
		want   string
	}{
		"no binary":    {SystemImageConfig{Executable: script, CABundle: testCABundle(t)}, "Linux"},
		"missing":      {SystemImageConfig{Executable: "/does/not/exist", CABundle: testCABundle(t)}, "binary"},
		"no CA bundle": {SystemImageConfig{Executable: buildProgram(t, ""), CABundle: "/does/not/exist"}, "ca-certificates"},
		"linked to C":  {SystemImageConfig{Executable: dynamicProgram(t), CABundle: testCABundle(t)}, "CGO_ENABLED=0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := StartSystemImage(t.Context(), openTestStorage(t, t.TempDir()), tt.config).System(t.Context())
			if constellation.KindOf(err) != constellation.KindUnavailable || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("System gives %v, want an unavailable error that says %q", err, tt.want)
			}
		})
	}
}

// dynamicProgram finds a program that needs a dynamic linker.
func dynamicProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ls")
	if err != nil {
		t.Skip("needs a dynamically linked ls in PATH")
	}
	return path
}
