package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// FromDebian makes the image that image.json in files describes, for this
// machine's platform: Debian's packages as one layer, which is made once and
// kept in the user's cache, and the files as another. It needs Debian's
// mmdebstrap, and takes packages from where this machine takes its own.
func FromDebian(ctx context.Context, files fs.FS, labels map[string]string) (v1.Image, error) {
	d, err := Describe(files)
	if err != nil {
		return nil, err
	}
	base, err := debianLayer(ctx, d.Packages)
	if err != nil {
		return nil, err
	}
	added, err := filesLayer(files, d.Files)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.AppendLayers(img, base, added)
	if err != nil {
		return nil, fmt.Errorf("append layers: %w", err)
	}
	config := &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Config: v1.Config{
		User: d.User, WorkingDir: d.WorkDir, Entrypoint: d.Entrypoint, Env: d.Env, Labels: d.with(labels),
	}}
	old, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("set the image's configuration: %w", err)
	}
	config.RootFS, config.History = old.RootFS, old.History
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return nil, fmt.Errorf("set the image's configuration: %w", err)
	}
	return img, nil
}

// filesLayer puts files where the image has them, with the folders above.
func filesLayer(from fs.FS, paths map[string]string) (v1.Layer, error) {
	folders, entries := map[string]bool{}, []file{}
	for name, to := range paths {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, fmt.Errorf("read a file of the image: %w", err)
		}
		mode := int64(0o644)
		if bytes.HasPrefix(data, []byte("#!")) { // an embedded file has no mode
			mode = 0o755
		}
		entries = append(entries, file{name: to, mode: mode, data: data})
		for dir := path.Dir(to); dir != "."; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		entries = append(entries, file{name: dir + "/", mode: 0o755})
	}
	slices.SortFunc(entries, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return layer(entries...)
}

// debianLayer is a root file system with the packages of this machine's
// Debian. A layer that was made before is taken from the user's cache.
func debianLayer(ctx context.Context, packages []string) (v1.Layer, error) {
	suite, err := debianSuite()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find the user's cache: %w", err)
	}
	key := sha256.Sum256([]byte(strings.Join(append([]string{suite, runtime.GOARCH, mmdebstrapOptions()}, packages...), "\x00")))
	tarGz := filepath.Join(cache, "constellation", "debian-"+hex.EncodeToString(key[:8])+".tar.gz")
	if _, err := os.Stat(tarGz); errors.Is(err, fs.ErrNotExist) {
		if err := makeRoot(ctx, suite, packages, tarGz); err != nil {
			return nil, err
		}
	}
	l, err := tarball.LayerFromFile(tarGz, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("make a layer of %s: %w", tarGz, err)
	}
	return l, nil
}

// rootOptions make a small root file system: packages are taken apart and not
// installed, so that no package manager, shell or user comes with them.
var rootOptions = []string{
	"--variant=extract", "--quiet",
	`--customize-hook=rm -rf "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale "$1"/dev`,
	`--customize-hook=mkdir -p "$1"/etc "$1"/tmp && chmod 1777 "$1"/tmp`,
	`--customize-hook=printf 'root:x:0:0:root:/:/nologin\nalgo:x:2222:2222:algo:/opt/algorithm:/nologin\n' >"$1"/etc/passwd`,
	`--customize-hook=printf 'root:x:0:\nalgo:x:2222:\n' >"$1"/etc/group`,
}

func mmdebstrapOptions() string { return strings.Join(rootOptions, "\x00") }

func makeRoot(ctx context.Context, suite string, packages []string, to string) error {
	program, err := exec.LookPath("mmdebstrap")
	if err != nil {
		return errors.New("images of Debian packages need mmdebstrap: apt-get install mmdebstrap")
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make the cache's folder: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(to), ".debian-*")
	if err != nil {
		return fmt.Errorf("make a folder for the root file system: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	made := filepath.Join(dir, "root.tar.gz")
	args := append(slices.Clone(rootOptions), "--include="+strings.Join(packages, ","), suite, made)
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=0", "TMPDIR="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a root file system of %s: %w\n%s", strings.Join(packages, ", "), err, bytes.TrimSpace(out))
	}
	if err := os.Rename(made, to); err != nil {
		return fmt.Errorf("keep the root file system: %w", err)
	}
	return nil
}

// debianSuite is this machine's release, such as bookworm.
func debianSuite() (string, error) {
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("find out which Debian this is: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if suite, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(suite, `"`), nil
		}
	}
	return "", errors.New("images of Debian packages are made on Debian: /etc/os-release names no VERSION_CODENAME")
}
