//go:build linux

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// hierarchies reads the mounted cgroup hierarchies from the text of /proc/mounts.
func hierarchies(mounts string) []node.Hierarchy {
	var out []node.Hierarchy
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != "cgroup" && f[2] != "cgroup2" {
			continue
		}
		h := node.Hierarchy{Path: f[1], Unified: f[2] == "cgroup2"}
		if !h.Unified {
			h.Options = controllerOptions(f[3])
		}
		if !slices.ContainsFunc(out, func(o node.Hierarchy) bool { return o.Path == h.Path }) {
			out = append(out, h)
		}
	}
	return out
}

// controllerOptions keeps of a mount's options what selects the hierarchy.
func controllerOptions(options string) string {
	var keep []string
	for o := range strings.SplitSeq(options, ",") {
		switch {
		case slices.Contains([]string{"rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime", "seclabel"}, o):
		case strings.HasPrefix(o, "release_agent="), o == "noprefix":
		case strings.HasPrefix(o, "name="):
			keep = append(keep, "none", o)
		default:
			keep = append(keep, o)
		}
	}
	return strings.Join(keep, ",")
}

// makeCgroups makes a group called name in each hierarchy and puts a process in it.
func makeCgroups(hs []node.Hierarchy, name string, pid int) error {
	for _, h := range hs {
		dir := filepath.Join(h.Path, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("make cgroup %s: %w", dir, err)
		}
		if h.Unified {
			enableControllers(h.Path)
		} else if err := copyCPUSet(h.Path, dir); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
			return fmt.Errorf("enter cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// enableControllers lets a child of the unified root use its controllers; most
// systems have them enabled, and a hybrid root has none.
func enableControllers(root string) {
	controllers, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return
	}
	for c := range strings.FieldsSeq(string(controllers)) {
		_ = os.WriteFile(filepath.Join(root, "cgroup.subtree_control"), []byte("+"+c), 0o600)
	}
}

// copyCPUSet fills the two files that are empty in a new v1 cpuset and must not be.
func copyCPUSet(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read cgroup: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0o600); err != nil {
			return fmt.Errorf("fill cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// removeCgroups removes the groups called name with all below them, waiting a
// little for the kernel to see that their processes are gone.
func removeCgroups(hs []node.Hierarchy, name string) error {
	deadline := time.Now().Add(15 * time.Second)
	for {
		var errs []error
		for _, h := range hs {
			errs = append(errs, removeGroup(filepath.Join(h.Path, name)))
		}
		err := errors.Join(errs...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func removeGroup(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove cgroup: %w", err)
	}
	for _, d := range slices.Backward(dirs) {
		if err := os.Remove(d); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}
