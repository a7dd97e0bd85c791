package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter is the first program in the new namespaces. It waits until the host
// has made the link and the cgroups (a byte on ready; its end means that the
// host gave up), builds the file system view and the network, and becomes Init.
func Enter(stateDir string, ready io.Reader) error {
	if _, err := io.ReadFull(ready, make([]byte, 1)); err != nil {
		return fmt.Errorf("wait for the host: %w", err)
	}
	spec, err := ReadSpec(stateDir)
	if err != nil {
		return err
	}
	// The cgroup namespace belongs to a thread until exec makes it the process's.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make cgroup namespace: %w", err)
	}
	if err := mounts(stateDir, spec); err != nil {
		return err
	}
	if err := network(spec.Network); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Name)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	program := Inside + "/bin/devcluster"
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"}
	return fmt.Errorf("start %s: %w", program, unix.Exec(program, []string{"devcluster", "node-init"}, env))
}

// mounts builds the private view: /run, /tmp, /var/lib, /var/log, /proc, /sys
// and the cgroups are the cluster's own, the rest is the host's.
func mounts(stateDir string, s Spec) error {
	state, err := os.Open(stateDir) // stays reachable when /run, /tmp or /var/lib is covered
	if err != nil {
		return fmt.Errorf("open state folder: %w", err)
	}
	defer func() { _ = state.Close() }()
	steps := []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{fmt.Sprintf("/proc/self/fd/%d", state.Fd()), Inside, "", unix.MS_BIND, ""},
		{Inside + "/var/lib", "/var/lib", "", unix.MS_BIND, ""},
		{Inside + "/var/log", "/var/log", "", unix.MS_BIND, ""},
		{Inside + "/tmp", "/tmp", "", unix.MS_BIND, ""},
	}
	for _, m := range steps {
		if m.target == Inside {
			if err := os.Mkdir(Inside, 0o755); err != nil {
				return fmt.Errorf("make %s: %w", Inside, err)
			}
		}
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	hideSysctls()
	if err := mountCgroups(s); err != nil {
		return err
	}
	// Pods with mount propagation need a shared root; it is shared only in here.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	return nil
}

// hideSysctls shows the kubelet the machine-wide kernel settings it would
// otherwise change for the whole host. A setting the kernel lacks is left out.
func hideSysctls() {
	for path, file := range map[string]string{
		"/proc/sys/vm/overcommit_memory":      "overcommit",
		"/proc/sys/vm/panic_on_oom":           "panic_on_oom",
		"/proc/sys/kernel/panic":              "panic",
		"/proc/sys/kernel/panic_on_oops":      "panic_on_oops",
		"/proc/sys/kernel/keys/root_maxkeys":  "root_maxkeys",
		"/proc/sys/kernel/keys/root_maxbytes": "root_maxbytes",
	} {
		_ = unix.Mount(filepath.Join(Inside, "sysctl", file), path, "", unix.MS_BIND, "")
	}
}

// mountCgroups mounts each hierarchy again; in the new cgroup namespace its
// root is the folder the host made for this cluster.
func mountCgroups(s Spec) error {
	const root = "/sys/fs/cgroup"
	if len(s.Hierarchy) != 1 || !s.Hierarchy[0].Unified {
		if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", root, err)
		}
	}
	for _, h := range s.Hierarchy {
		kind, data := "cgroup", h.Options
		if h.Unified {
			kind, data = "cgroup2", ""
		}
		if err := os.MkdirAll(h.Path, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", h.Path, err)
		}
		if err := unix.Mount(kind, h.Path, kind, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, data); err != nil {
			return fmt.Errorf("mount %s: %w", h.Path, err)
		}
		if names := strings.Split(filepath.Base(h.Path), ","); len(names) > 1 {
			for _, n := range names {
				if err := os.Symlink(filepath.Base(h.Path), filepath.Join(root, n)); err != nil && !errors.Is(err, os.ErrExist) {
					return fmt.Errorf("link cgroup %s: %w", n, err)
				}
			}
		}
		if h.Unified {
			if err := leaveRoot(h.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// leaveRoot moves this process out of the unified root: a group with
// controllers for its children may hold no process itself.
func leaveRoot(path string) error {
	group := filepath.Join(path, "node")
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make cgroup: %w", err)
	}
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("0"), 0o600); err != nil {
		return fmt.Errorf("enter cgroup: %w", err)
	}
	controllers, err := os.ReadFile(filepath.Join(path, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("read cgroup controllers: %w", err)
	}
	for c := range strings.FieldsSeq(string(controllers)) {
		// One at a time: a controller the kernel will not delegate does not cost us the rest.
		_ = os.WriteFile(filepath.Join(path, "cgroup.subtree_control"), []byte("+"+c), 0o600)
	}
	return nil
}

func network(n Network) error {
	for _, args := range [][]string{
		{"link", "set", "lo", "up"},
		{"addr", "add", fmt.Sprintf("%s/%d", n.Node, n.LinkBits), "dev", n.InnerDevice},
		{"link", "set", n.InnerDevice, "up"},
		{"route", "add", "default", "via", n.Host.String()},
	} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
			return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o600); err != nil {
		return fmt.Errorf("forward packets: %w", err)
	}
	return nil
}

// Init is PID 1: it starts the supervisor, reaps what is orphaned, and ends,
// and with it the whole cluster, when the supervisor does.
func Init() error {
	log, err := os.OpenFile(Inside+"/logs/node.log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open node.log: %w", err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return fmt.Errorf("open null device: %w", err)
	}
	supervisor, err := os.StartProcess("/proc/self/exe", []string{"devcluster", "node-supervise"}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{null, log, log},
	})
	if err != nil {
		return fmt.Errorf("start supervisor: %w", err)
	}
	for {
		pid, err := syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for processes: %w", err)
		}
		if pid == supervisor.Pid {
			return errors.New("the supervisor ended")
		}
	}
}
