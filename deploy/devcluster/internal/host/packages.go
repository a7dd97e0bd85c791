//go:build linux

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
)

// programs maps what a cluster runs to the Debian package that has it.
var programs = map[string]string{
	"containerd":            "containerd",
	"ctr":                   "containerd",
	"runc":                  "runc",
	"/usr/lib/cni/ptp":      "containernetworking-plugins",
	"/usr/lib/cni/portmap":  "containernetworking-plugins",
	"/usr/lib/cni/loopback": "containernetworking-plugins",
	"iptables":              "iptables",
	"conntrack":             "conntrack",
	"etcd":                  "etcd-server",
	"ip":                    "iproute2",
	"nginx":                 "nginx",
}

// MissingPackages lists the Debian packages that a cluster needs and this
// machine does not have.
func MissingPackages(ingress bool) []string {
	missing := map[string]bool{}
	for program, pkg := range programs {
		if pkg == "nginx" && !ingress {
			continue
		}
		if !installed(program) {
			missing[pkg] = true
		}
	}
	names := make([]string, 0, len(missing))
	for n := range missing {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func installed(program string) bool {
	if filepath.IsAbs(program) {
		_, err := os.Stat(program)
		return err == nil
	}
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	_, err := exec.LookPath(filepath.Join("/usr/sbin", program)) // not in everyone's PATH
	return err == nil
}

// RequirePackages says in one sentence what is missing and how to install it.
func RequirePackages(ingress bool) error {
	missing := MissingPackages(ingress)
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	return fmt.Errorf("packages are missing: %s: run up --install, or apt-get install --no-install-recommends %s", list, list)
}

// Install installs the missing packages with apt-get. None of their services
// is started: a cluster runs the programs itself.
func Install(ctx context.Context, ingress bool, out io.Writer) (err error) {
	missing := MissingPackages(ingress)
	if len(missing) == 0 {
		return nil
	}
	restore, err := denyServices()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, restore()) }()
	for _, args := range [][]string{{"update", "-q"}, append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...) //nolint:gosec // our own arguments
		cmd.Stdout, cmd.Stderr = out, out
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("apt-get %s: %w", strings.Join(args, " "), err)
		}
	}
	return nil
}

// denyServices puts a policy in place that keeps packages from starting their
// services; restore puts the machine's own back.
func denyServices() (restore func() error, err error) {
	const path = "/usr/sbin/policy-rc.d"
	_, err = os.Stat(path)
	had := err == nil
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("look for %s: %w", path, err)
	}
	if had {
		if err := os.Rename(path, path+".devcluster"); err != nil {
			return nil, fmt.Errorf("set aside %s: %w", path, err)
		}
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 101\n"), 0o755); err != nil { //nolint:gosec // a program
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return func() error {
		if had {
			return os.Rename(path+".devcluster", path)
		}
		return os.Remove(path)
	}, nil
}
