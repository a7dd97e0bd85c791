//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/host"
)

// machine is what a cluster must leave as it was. Other clusters may come and
// go meanwhile: of links, routes and cgroups only this test's own are looked at.
func machine(t *testing.T, names []string) map[string][]string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := exec.Command("iptables-save").Output()
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]string{"mounts": strings.Split(string(mounts), "\n")}
	for line := range strings.Lines(string(rules)) {
		if strings.HasPrefix(line, "-A") {
			m["rules"] = append(m["rules"], line)
		}
	}
	for _, path := range []string{"/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops", "/proc/sys/net/ipv4/ip_forward"} {
		data, err := os.ReadFile(path)
		m["kernel"] = append(m["kernel"], fmt.Sprint(path, string(data), err))
	}
	for _, path := range []string{"/var/lib/cni", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/kube-proxy", "/opt/containerd", "/opt/cni",
		"/run/containerd", "/run/xtables.lock", "/run/nginx.pid", "/usr/libexec/kubernetes", "/etc/kubernetes", "/etc/cni", "/var/log/pods", "/var/log/containers"} {
		_, err := os.Stat(path)
		m["paths"] = append(m["paths"], fmt.Sprint(path, err))
	}
	records, err := host.Slots{Dir: host.RunDir}.Records()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if slices.Contains(names, r.Name) {
			m["records"] = append(m["records"], r.Name)
		}
	}
	m["cgroups"] = cgroupsOf(t, names)
	return m
}

func cgroupsOf(t *testing.T, names []string) (found []string) {
	t.Helper()
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && slices.ContainsFunc(names, func(n string) bool { return strings.Contains(path, n) }) {
			found = append(found, path)
		}
		return nil // groups of others come and go while we look
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func compareMachines(t *testing.T, before, after map[string][]string) {
	t.Helper()
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the machine is not as it was (-before +after):\n%s", diff)
	}
}

// addressesLeft lists the links and routes of clusters that are gone.
func addressesLeft(t *testing.T, infos []host.Info) (left []string) {
	t.Helper()
	for _, args := range [][]string{{"-o", "addr"}, {"route"}} {
		out, err := exec.Command("ip", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			for _, i := range infos {
				if strings.Contains(line, i.HostAddress+"/") || strings.Contains(line, i.NodeAddress+" ") || strings.Contains(line, i.PodCIDR) {
					left = append(left, line)
				}
			}
		}
	}
	return left
}

// pidNamespace identifies the PID namespace of a process.
func pidNamespace(t *testing.T, pid int) string {
	t.Helper()
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// processesIn lists the processes in PID namespaces.
func processesIn(t *testing.T, namespaces []string) (found []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if link, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns", "pid")); err == nil && slices.Contains(namespaces, link) {
			found = append(found, pid)
		}
	}
	return found
}

// killNamed kills the processes of a PID namespace whose command line starts with prefix.
func killNamed(t *testing.T, namespace, prefix string) {
	t.Helper()
	killed := 0
	for _, pid := range processesIn(t, []string{namespace}) {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.HasPrefix(string(line), prefix) && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed == 0 {
		t.Fatalf("no process %q to kill", prefix)
	}
}
