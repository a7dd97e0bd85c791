//go:build linux

package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"
)

// DefaultStateRoot holds the state folders of clusters started without --state.
const DefaultStateRoot = "/var/lib/constellation-devcluster"

// marker is in each folder that a cluster owns; what it says is whether the
// folder itself was made for the cluster, or only what is in it.
const (
	marker      = ".constellation-devcluster"
	markerMade  = "made\n"
	markerGiven = "given\n"
)

var namePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$`)

// Info is cluster.json: what a script needs to know of a running cluster.
type Info struct {
	Name        string `json:"name"`
	Kubeconfig  string `json:"kubeconfig"`
	NodeAddress string `json:"node_address"`
	HostAddress string `json:"host_address"`
	PodCIDR     string `json:"pod_cidr"`
	ServiceCIDR string `json:"service_cidr"`
	IngressURL  string `json:"ingress_url"`
	PID         int    `json:"pid"`
}

// CheckName refuses what cannot name a cluster.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("--name %q: want lower-case letters, digits and hyphens, 40 at most", name)
	}
	return nil
}

// claim makes the state folder ours. A folder with other things in it is refused.
func claim(dir string) error {
	entries, err := os.ReadDir(dir)
	text := markerGiven
	switch {
	case errors.Is(err, os.ErrNotExist):
		text = markerMade
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make state folder: %w", err)
		}
	case err != nil:
		return fmt.Errorf("read state folder: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("state folder %s is not empty and not a cluster's: choose another with --state", dir)
	}
	if err := os.WriteFile(filepath.Join(dir, marker), []byte(text), 0o600); err != nil {
		return fmt.Errorf("mark state folder: %w", err)
	}
	return nil
}

// owned reports whether a cluster claimed the folder.
func owned(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, marker))
	return err == nil
}

// discard removes a claimed folder, or what is in it if it was there before.
// The marker goes last, so that an interrupted removal can be repeated.
func discard(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, marker))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read state folder: %w", err)
	}
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("remove state: %w", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, marker)); err != nil {
		return fmt.Errorf("remove state: %w", err)
	}
	if string(text) != markerMade {
		return nil
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("remove state folder: %w", err)
	}
	if filepath.Dir(dir) == DefaultStateRoot {
		_ = os.Remove(DefaultStateRoot) // stays while another cluster is in it
	}
	return nil
}

// ReadInfo loads cluster.json.
func ReadInfo(stateDir string) (Info, error) {
	data, err := os.ReadFile(filepath.Join(stateDir, "cluster.json"))
	if err != nil {
		return Info{}, fmt.Errorf("read cluster.json: %w", err)
	}
	var i Info
	if err := json.Unmarshal(data, &i); err != nil {
		return Info{}, fmt.Errorf("read cluster.json: %w", err)
	}
	return i, nil
}

func (i Info) write(stateDir string) error {
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode cluster.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stateDir, "cluster.json"), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("write cluster.json: %w", err)
	}
	return nil
}

// place puts a program in the state folder: a hard link if it can be, else a
// copy. A running cluster then needs neither the cache nor what started it.
func place(source, target string) (err error) {
	if os.Link(source, target) == nil {
		return nil
	}
	in, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755) //nolint:gosec // a program
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	return nil
}

// carriesOverlay reports whether overlayfs can have its layers in the folder.
func carriesOverlay(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Type != unix.OVERLAYFS_SUPER_MAGIC
}
