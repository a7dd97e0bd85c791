//go:build linux

package host

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// broadest is the shortest prefix that keeps a slot from being used: ours are
// more specific than a private network's route as a whole, and win.
const broadest = 12

// busyNetworks lists the networks this machine has addresses in or routes to.
func busyNetworks() ([]netip.Prefix, error) {
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	busy := parseRoutes(string(routes))
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read addresses: %w", err)
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			busy = append(busy, p.Masked())
		}
	}
	return busy, nil
}

// parseRoutes reads the text of /proc/net/route, little-endian hex in columns 2 and 8.
func parseRoutes(text string) []netip.Prefix {
	var out []netip.Prefix
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		dest, err := hex.DecodeString(f[1])
		mask, err2 := strconv.ParseUint(f[7], 16, 32)
		if err != nil || err2 != nil || len(dest) != 4 {
			continue
		}
		var addr [4]byte
		binary.LittleEndian.PutUint32(addr[:], binary.BigEndian.Uint32(dest))
		if n := bits.OnesCount64(mask); n >= broadest {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4(addr), n))
		}
	}
	return out
}

// connect makes the link between the host and the namespaces of a process, and
// the host's routes to pods and services over it. All go when the process's
// network namespace goes.
func connect(n node.Network, pid int) error {
	for _, args := range [][]string{
		{"link", "add", n.HostDevice, "type", "veth", "peer", "name", n.InnerDevice, "netns", strconv.Itoa(pid)},
		{"addr", "add", fmt.Sprintf("%s/%d", n.Host, n.LinkBits), "dev", n.HostDevice},
		{"link", "set", n.HostDevice, "up"},
		{"route", "add", n.Pods.String(), "via", n.Node.String()},
		{"route", "add", n.Services.String(), "via", n.Node.String()},
	} {
		if err := ip(args...); err != nil {
			return err
		}
	}
	return nil
}

// disconnect removes the link at once; the kernel would do so a little later.
func disconnect(n node.Network) error {
	if _, err := net.InterfaceByName(n.HostDevice); err != nil {
		return nil //nolint:nilerr // it is gone
	}
	if err := ip("link", "del", n.HostDevice); err != nil {
		if _, gone := net.InterfaceByName(n.HostDevice); gone != nil {
			return nil //nolint:nilerr // the kernel was faster
		}
		return err
	}
	return nil
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
