// Package image makes container images of static Go programs with no Docker
// and no Dockerfile, and pushes them, as a CI job would.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is who images run as: "nonroot" by the convention of small images.
const User = "65532:65532"

// Source is a Go program to make an image of.
type Source struct {
	Package  string            // as go build takes it, such as ./deploy/examples/hello
	Dir      string            // where to build; "" is here
	Platform string            // OS/ARCH; "" is linux/amd64
	Labels   map[string]string // over those of image.json
}

// Build compiles the program, static and reproducible, and makes its image with
// the labels of image.json beside its source: the same source gives the same digest.
func Build(ctx context.Context, src Source) (v1.Image, error) {
	platform, err := parsePlatform(src.Platform)
	if err != nil {
		return nil, err
	}
	described, err := described(ctx, src)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "image-*")
	if err != nil {
		return nil, fmt.Errorf("make a folder for the binary: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "program")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", binary, src.Package) //nolint:gosec // the caller's own program
	cmd.Dir = src.Dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform.OS, "GOARCH="+platform.Architecture)
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile %s: %w\n%s", src.Package, err, bytes.TrimSpace(out))
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("compile %s: %w", src.Package, err)
	}
	return FromBinary(path.Base(filepath.ToSlash(src.Package)), program, src.Platform, described.with(src.Labels))
}

// described reads image.json beside the program's source.
func described(ctx context.Context, src Source) (Description, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", src.Package) //nolint:gosec // the caller's own program
	cmd.Dir = src.Dir
	folder, err := cmd.Output()
	if err != nil {
		return Description{}, fmt.Errorf("find %s: %w", src.Package, err)
	}
	return Describe(os.DirFS(strings.TrimSpace(string(folder))))
}

// FromBinary makes the image of a static program, /NAME in it, on the small
// base layer that all of them share.
func FromBinary(program string, binary []byte, platform string, labels map[string]string) (v1.Image, error) {
	p, err := parsePlatform(platform)
	if err != nil {
		return nil, err
	}
	base, err := layer(
		file{name: "etc/", mode: 0o755},
		file{name: "etc/passwd", mode: 0o644, data: []byte("root:x:0:0:root:/:/nologin\nnonroot:x:65532:65532:nonroot:/:/nologin\n")},
		file{name: "etc/group", mode: 0o644, data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		file{name: "etc/nsswitch.conf", mode: 0o644, data: []byte("hosts: files dns\n")},
		file{name: "tmp/", mode: 0o1777},
	)
	if err != nil {
		return nil, err
	}
	code, err := layer(file{name: program, mode: 0o755, data: binary})
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.AppendLayers(img, base, code)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	img, err = mutate.ConfigFile(img, configured(img, p, program, labels))
	if err != nil {
		return nil, fmt.Errorf("set the image's configuration: %w", err)
	}
	return img, nil
}

func configured(img v1.Image, p *v1.Platform, program string, labels map[string]string) *v1.ConfigFile {
	config := &v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant,
		Config: v1.Config{
			User: User, WorkingDir: "/", Entrypoint: []string{"/" + program}, Labels: labels,
			Env: []string{"PATH=/"},
		},
	}
	if old, err := img.ConfigFile(); err == nil {
		config.RootFS, config.History = old.RootFS, old.History
	}
	return config
}

func parsePlatform(s string) (*v1.Platform, error) {
	if s == "" {
		s = "linux/amd64"
	}
	p, err := v1.ParsePlatform(s)
	if err != nil || p.OS == "" || p.Architecture == "" {
		return nil, fmt.Errorf("a platform is OS/ARCH such as linux/amd64; not %q", s)
	}
	return p, nil
}

// file is an entry of a layer; a name that ends in "/" is a folder.
type file struct {
	name string
	mode int64
	data []byte
}

// layer makes a layer with no time, owner or order that could differ.
func layer(files ...file) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		header := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if strings.HasSuffix(f.name, "/") {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, fmt.Errorf("write %s to a layer: %w", f.name, err)
		}
		if _, err := w.Write(f.data); err != nil {
			return nil, fmt.Errorf("write %s to a layer: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("close a layer: %w", err)
	}
	data := b.Bytes()
	l, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("make a layer: %w", err)
	}
	return l, nil
}

// Target is a registry to push to.
type Target struct {
	Reference string // HOST/OWNER/NAME:TAG
	Insecure  bool   // plain HTTP
	Username  string // "" takes the docker login
	Password  string
	Transport http.RoundTripper // nil is the default
}

// Push pushes an image and gives REPOSITORY@DIGEST.
func Push(ctx context.Context, img v1.Image, to Target) (string, error) {
	var options []name.Option
	if to.Insecure {
		options = append(options, name.Insecure)
	}
	ref, err := name.ParseReference(to.Reference, options...)
	if err != nil {
		return "", fmt.Errorf("read the reference %s: %w", to.Reference, err)
	}
	auth := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	if to.Username != "" {
		auth = remote.WithAuth(&authn.Basic{Username: to.Username, Password: to.Password})
	}
	with := []remote.Option{remote.WithContext(ctx), auth}
	if to.Transport != nil {
		with = append(with, remote.WithTransport(to.Transport))
	}
	if err := remote.Write(ref, img, with...); err != nil {
		return "", fmt.Errorf("push %s: %w", to.Reference, err)
	}
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("digest of %s: %w", to.Reference, err)
	}
	return ref.Context().Name() + "@" + digest.String(), nil
}

// WriteLayout writes an OCI layout with this one image to dir.
func WriteLayout(img v1.Image, dir string) error {
	index, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("write the OCI layout %s: %w", dir, err)
	}
	if err := index.AppendImage(img); err != nil {
		return fmt.Errorf("write the OCI layout %s: %w", dir, err)
	}
	return nil
}
