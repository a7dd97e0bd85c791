// Package node is the inside of a cluster: it sets up the namespaces it is
// started in, writes the components' configuration and keeps them running.
package node

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
)

// Network is the addresses of one cluster.
type Network struct {
	Host        netip.Addr   `json:"host"` // the host's end of the link
	Node        netip.Addr   `json:"node"` // the cluster's end
	LinkBits    int          `json:"link_bits"`
	Pods        netip.Prefix `json:"pods"`
	Services    netip.Prefix `json:"services"`
	HostDevice  string       `json:"host_device"`
	InnerDevice string       `json:"inner_device"`
}

// Spec is what the host tells the inside, in node.json of the state folder.
type Spec struct {
	Name       string      `json:"name"`
	Network    Network     `json:"network"`
	Ingress    bool        `json:"ingress"`
	Overlay    bool        `json:"overlay"` // the state folder's file system can carry overlayfs
	Hierarchy  []Hierarchy `json:"cgroups"`
	CgroupName string      `json:"cgroup_name"`
}

// Hierarchy is a mounted cgroup hierarchy of the host.
type Hierarchy struct {
	Path    string `json:"path"`
	Unified bool   `json:"unified"`
	Options string `json:"options"`
}

// Inside is where the state folder is seen in the cluster's namespaces.
const Inside = "/run/devcluster"

// PauseImage is the name of the sandbox image, which no registry has.
const PauseImage = "devcluster.local/pause:1"

// ServiceIP is the first address of the service range: the API server's.
func (n Network) ServiceIP() netip.Addr { return n.Services.Addr().Next() }

// Server is the API server's address.
func (n Network) Server() string { return fmt.Sprintf("https://%s:6443", n.Node) }

// Write stores the spec in a state folder.
func (s Spec) Write(stateDir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode node.json: %w", err)
	}
	if err := os.WriteFile(filepath.Join(stateDir, "node.json"), data, 0o600); err != nil {
		return fmt.Errorf("write node.json: %w", err)
	}
	return nil
}

// ReadSpec loads what Write stored.
func ReadSpec(stateDir string) (Spec, error) {
	data, err := os.ReadFile(filepath.Join(stateDir, "node.json"))
	if err != nil {
		return Spec{}, fmt.Errorf("read node.json: %w", err)
	}
	var s Spec
	if err := json.Unmarshal(data, &s); err != nil {
		return Spec{}, fmt.Errorf("read node.json: %w", err)
	}
	return s, nil
}
