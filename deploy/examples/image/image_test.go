package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var labels = map[string]string{"constellation.protocol": "langserver"}

func TestFromBinary(t *testing.T) {
	img, err := FromBinary("hello", []byte("program"), "linux/arm64", labels)
	if err != nil {
		t.Fatal(err)
	}
	again, err := FromBinary("hello", []byte("program"), "linux/arm64", labels)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := img.Digest()
	second, _ := again.Digest()
	if first != second {
		t.Errorf("the same binary gives %s and %s, want one digest", first, second)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.Architecture != "arm64" || config.OS != "linux" || config.Config.User != User || config.Config.Entrypoint[0] != "/hello" {
		t.Errorf("config = %+v", config)
	}
	if diff := cmp.Diff(labels, config.Config.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	files := map[string]int64{}
	reader := tar.NewReader(mutate.Extract(img))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = header.Mode
	}
	want := map[string]int64{"etc": 0o755, "etc/passwd": 0o644, "etc/group": 0o644, "etc/nsswitch.conf": 0o644, "tmp": 0o1777, "hello": 0o755}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestFromBinaryRefusesAPlatform(t *testing.T) {
	if _, err := FromBinary("x", nil, "linux", nil); err == nil || !strings.Contains(err.Error(), "linux/amd64") {
		t.Errorf("FromBinary for linux = %v, want an error that says how", err)
	}
}

// TestBuildAndPush compiles a real example and pushes it to a real registry.
func TestBuildAndPush(t *testing.T) {
	img, err := Build(t.Context(), Source{Package: "./deploy/examples/shout", Dir: "../../..", Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reference := strings.TrimPrefix(server.URL, "http://") + "/neo/shout:0123456789abcdef0123456789abcdef01234567"
	pinned, err := Push(t.Context(), img, Target{Reference: reference, Insecure: true, Username: "neo", Password: "key"})
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(pinned, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := pulled.Digest(); got != want || !strings.HasSuffix(pinned, "/neo/shout@"+want.String()) {
		t.Errorf("pushed %s, pulled %s from %s", want, got, pinned)
	}
	if err := validate.Image(pulled); err != nil {
		t.Errorf("validate = %v", err)
	}
	dir := t.TempDir()
	if err := WriteLayout(img, dir); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest != want {
		t.Errorf("layout = %+v, want %s alone", manifest.Manifests, want)
	}
	var program bytes.Buffer
	reader := tar.NewReader(mutate.Extract(img))
	for {
		header, err := reader.Next()
		if err != nil {
			t.Fatalf("the program is not in the image: %v", err)
		}
		if header.Name == "shout" {
			_, _ = io.CopyN(&program, reader, 4)
			break
		}
	}
	if program.String() != "\x7fELF" {
		t.Errorf("the program starts with %q, want an ELF file", program.String())
	}
}
