package node

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
)

// ExpandRegistry checks HOST:PORT and puts the host's address for an empty HOST.
func ExpandRegistry(name string, n Network) (string, error) {
	host, port, err := net.SplitHostPort(name)
	if err != nil || port == "" {
		return "", fmt.Errorf("--insecure-registry %q: want HOST:PORT, or :PORT for this machine", name)
	}
	if host == "" {
		host = n.Host.String()
	}
	return net.JoinHostPort(host, port), nil
}

// AllowInsecureRegistry makes containerd pull from a registry by plain HTTP.
// A loopback name means the host's: it is reached over the link.
func AllowInsecureRegistry(stateDir, registry string, n Network) error {
	endpoint := registry
	host, port, err := net.SplitHostPort(registry)
	if err != nil {
		return fmt.Errorf("allow registry %s: %w", registry, err)
	}
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		endpoint = net.JoinHostPort(n.Host.String(), port)
	}
	dir := filepath.Join(stateDir, "registries", registry)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("allow registry %s: %w", registry, err)
	}
	text := fmt.Sprintf("server = \"http://%[1]s\"\n\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", endpoint)
	if err := os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("allow registry %s: %w", registry, err)
	}
	return nil
}
