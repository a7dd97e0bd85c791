//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/flock"
	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// RunDir holds a record of each cluster of this machine and the locks.
const RunDir = "/run/constellation-devcluster"

// slots is how many clusters a machine can run; a slot's number fixes its network ranges.
const slots = 32

// Record says which cluster has a slot.
type Record struct {
	Slot     int    `json:"slot"`
	Name     string `json:"name"`
	StateDir string `json:"state_dir"`
	PID      int    `json:"pid"`     // of the cluster's PID 1, as the host sees it; 0 before it starts
	Started  uint64 `json:"started"` // its start time in clock ticks, so that a reused PID is not taken for it
}

// NetworkFor returns the ranges and interface names of a slot.
func NetworkFor(slot int) node.Network {
	addr := func(b, c, d int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(b), byte(c), byte(d)}) }
	return node.Network{
		Host:        addr(210, slot, 1),
		Node:        addr(210, slot, 2),
		LinkBits:    30,
		Pods:        netip.PrefixFrom(addr(128+slot, 0, 0), 24),
		Services:    netip.PrefixFrom(addr(160+slot, 0, 0), 20),
		HostDevice:  fmt.Sprintf("cst-host%d", slot),
		InnerDevice: fmt.Sprintf("cst-node%d", slot),
	}
}

// Slots is the machine-wide table of clusters, a JSON file each in Dir.
type Slots struct{ Dir string }

// Records lists the clusters by slot.
func (s Slots) Records() ([]Record, error) {
	paths, err := filepath.Glob(filepath.Join(s.Dir, "slot-*.json"))
	if err != nil {
		return nil, fmt.Errorf("list clusters: %w", err)
	}
	var records []Record
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list clusters: %w", err)
		}
		var r Record
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, fmt.Errorf("read cluster record %s: %w", path, err)
		}
		records = append(records, r)
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Slot < records[j].Slot })
	return records, nil
}

// Find returns the record of a cluster; found is false when there is none.
func (s Slots) Find(name string) (r Record, found bool, err error) {
	records, err := s.Records()
	if err != nil {
		return Record{}, false, err
	}
	for _, r := range records {
		if r.Name == name {
			return r, true, nil
		}
	}
	return Record{}, false, nil
}

// Allocate takes the first slot that no cluster has and whose ranges no
// address or route of this machine (busy) touches.
func (s Slots) Allocate(ctx context.Context, name, stateDir string, busy []netip.Prefix) (Record, error) {
	lock, err := flock.Acquire(ctx, filepath.Join(s.Dir, "slots.lock"))
	if err != nil {
		return Record{}, fmt.Errorf("choose network ranges: %w", err)
	}
	defer func() { _ = lock.Remove() }()
	records, err := s.Records()
	if err != nil {
		return Record{}, err
	}
	taken := map[int]bool{}
	for _, r := range records {
		taken[r.Slot] = true
	}
	for n := range slots {
		if taken[n] || overlaps(NetworkFor(n), busy) {
			continue
		}
		r := Record{Slot: n, Name: name, StateDir: stateDir}
		return r, s.Write(r)
	}
	return Record{}, fmt.Errorf("choose network ranges: all %d slots are taken by clusters or by other networks of this machine; see devcluster status", slots)
}

// Write stores a record in its slot.
func (s Slots) Write(r Record) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode cluster record: %w", err)
	}
	path := s.path(r.Slot)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("write cluster record: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write cluster record: %w", err)
	}
	return nil
}

// Free releases a slot.
func (s Slots) Free(r Record) error {
	if err := os.Remove(s.path(r.Slot)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove cluster record: %w", err)
	}
	return nil
}

func (s Slots) path(n int) string { return filepath.Join(s.Dir, fmt.Sprintf("slot-%02d.json", n)) }

// Alive reports whether the cluster's PID 1 runs.
func (r Record) Alive() bool {
	started, state, err := processStart(r.PID)
	return r.PID > 0 && err == nil && started == r.Started && state != "Z" && state != "X"
}

// processStart reads a process's start time and state letter.
func processStart(pid int) (uint64, string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", fmt.Errorf("read process %d: %w", pid, err)
	}
	// The name, in parentheses, may hold anything; state is field 3, start time 22.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return 0, "", fmt.Errorf("read process %d: %q is not a process state", pid, data)
	}
	started, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, "", fmt.Errorf("read process %d: %w", pid, err)
	}
	return started, fields[0], nil
}

func overlaps(n node.Network, busy []netip.Prefix) bool {
	for _, b := range busy {
		if b.Overlaps(n.Pods) || b.Overlaps(n.Services) || b.Overlaps(netip.PrefixFrom(n.Host, n.LinkBits)) {
			return true
		}
	}
	return false
}
