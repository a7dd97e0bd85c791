// Package components compiles the cluster's programs from their Go modules and
// keeps the results in the user's cache.
package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
)

// Component is a program compiled from a Go package below the source folder.
type Component struct {
	Name    string
	Dir     string // below deploy/devcluster; a module of its own, or a package of this one
	Version string
	LDFlags string
}

// Cluster lists what a node runs.
func Cluster() []Component {
	return []Component{
		Kube(),
		{Name: "coredns", Dir: "coredns", Version: "v1.15.0", LDFlags: "-s -w"},
		{Name: "pause", Dir: "pause", Version: "1", LDFlags: "-s -w"},
	}
}

// Kube is the binary of every Kubernetes component.
func Kube() Component {
	return Component{Name: "kube", Dir: "kube", Version: "v1.37.2", LDFlags: kubeFlags("1", "37", "2")}
}

// APIServer is the program that holds the kube-apiserver of a version, given
// without a v, and an error that lists the versions there are.
func APIServer(version string) (Component, error) {
	switch strings.TrimPrefix(version, "v") {
	case "1.37.2":
		return Kube(), nil
	case "1.32.2":
		return Component{Name: "apiserver132", Dir: "apiserver132", Version: "v1.32.2", LDFlags: kubeFlags("1", "32", "2")}, nil
	}
	return Component{}, fmt.Errorf("kube-apiserver %s is not built here: choose 1.32.2 or 1.37.2", version)
}

func kubeFlags(major, minor, patch string) string {
	const p = "k8s.io/component-base/version"
	return fmt.Sprintf("-s -w -X %s.gitVersion=v%s.%s.%s -X %s.gitMajor=%s -X %s.gitMinor=%s",
		p, major, minor, patch, p, major, p, minor)
}

// Source finds deploy/devcluster: where this program was compiled, or below
// the working folder or one of its parents.
func Source() (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok {
		dir := filepath.Join(filepath.Dir(file), "..", "..")
		if isSource(dir) {
			return filepath.Clean(dir), nil
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the source of the cluster's programs: %w", err)
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		for _, d := range []string{dir, filepath.Join(dir, "deploy", "devcluster")} {
			if isSource(d) {
				return d, nil
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the source of the cluster's programs: no deploy/devcluster at or above %s: run this inside the repository", wd)
		}
	}
}

func isSource(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "kube", "go.mod"))
	return err == nil
}

// CacheDir is where compiled programs are kept.
func CacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the cache folder: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "constellation", "devcluster"), nil
}

// key names a component's result: a change of its files, version, flags, Go
// or platform makes another.
func key(source string, c Component) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, c.Name, c.Version, c.LDFlags, runtime.Version(), runtime.GOARCH)
	dir := filepath.Join(source, c.Dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read the source of %s: %w", c.Name, err)
	}
	var names []string
	for _, e := range entries {
		n := e.Name()
		if n == "go.mod" || n == "go.sum" || strings.HasSuffix(n, ".go") && !strings.HasSuffix(n, "_test.go") {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("read the source of %s: no Go files in %s", c.Name, dir)
	}
	sort.Strings(names)
	for _, n := range names {
		if err := hashFile(h, n, filepath.Join(dir, n)); err != nil {
			return "", fmt.Errorf("read the source of %s: %w", c.Name, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:20], nil
}

func hashFile(w io.Writer, name, path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := fmt.Fprintln(w, name); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
