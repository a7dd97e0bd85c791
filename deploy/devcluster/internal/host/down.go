//go:build linux

package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

// Down ends a cluster and removes all it made, also when parts of it were
// killed before. It reports false when there was nothing to remove.
func (h *Host) Down(ctx context.Context, name string) (bool, error) {
	if os.Geteuid() != 0 {
		return false, errors.New("devcluster needs Linux and root: run it as root")
	}
	if err := CheckName(name); err != nil {
		return false, err
	}
	addSbin()
	lock, err := h.lockName(ctx, name)
	if err != nil {
		return false, err
	}
	defer h.unlockName(lock)
	record, found, err := h.Slots.Find(name)
	if err != nil {
		return false, err
	}
	if found {
		return true, h.tearDown(record)
	}
	dir := filepath.Join(DefaultStateRoot, name) // its record went with a reboot
	if !owned(dir) {
		return false, nil
	}
	return true, discard(dir)
}

// Wait waits until the cluster's PID 1 ends or ctx does.
func (c *Cluster) Wait(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.ended:
			return errors.New("the cluster's first process ended")
		case <-ticker.C:
			if !c.record.Alive() {
				return errors.New("the cluster's first process ended")
			}
		}
	}
}

// tearDownNow ends a cluster whose name is locked by the caller.
func (h *Host) tearDownNow(name string) error {
	record, found, err := h.Slots.Find(name)
	if err != nil || !found {
		return err
	}
	return h.tearDown(record)
}

// tearDown ends PID 1, and with it every process, mount and rule of the
// namespaces; then it removes what the host holds. The record goes last.
func (h *Host) tearDown(r Record) error {
	if err := kill(r); err != nil {
		return err
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return fmt.Errorf("read mounts: %w", err)
	}
	err = errors.Join(
		disconnect(NetworkFor(r.Slot)),
		removeCgroups(hierarchies(string(mounts)), cgroupName(r.Name)),
		discard(r.StateDir),
	)
	if err != nil {
		return fmt.Errorf("remove cluster %s: %w", r.Name, err)
	}
	return h.Slots.Free(r)
}

func kill(r Record) error {
	if !r.Alive() {
		return nil
	}
	if err := syscall.Kill(r.PID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("end cluster %s: %w", r.Name, err)
	}
	for deadline := time.Now().Add(30 * time.Second); r.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("end cluster %s: process %d is still there after 30s", r.Name, r.PID)
		}
	}
	// The machine's own PID 1 takes the dead process away, if it is a good one.
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if started, _, err := processStart(r.PID); err != nil || started != r.Started {
			break
		}
	}
	return nil
}

// Status is one cluster of this machine.
type Status struct {
	Name       string                       `json:"name"`
	Up         bool                         `json:"up"`
	StateDir   string                       `json:"state_dir"`
	Cluster    *Info                        `json:"cluster,omitempty"`
	Components map[string]node.ProcessState `json:"components,omitempty"`
}

// List tells of every cluster of this machine.
func (h *Host) List() ([]Status, error) {
	records, err := h.Slots.Records()
	if err != nil {
		return nil, err
	}
	out := make([]Status, 0, len(records))
	for _, r := range records {
		s := Status{Name: r.Name, Up: r.Alive(), StateDir: r.StateDir}
		if info, err := ReadInfo(r.StateDir); err == nil {
			s.Cluster = &info
		}
		data, err := os.ReadFile(filepath.Join(r.StateDir, "components.json"))
		if err == nil {
			err = json.Unmarshal(data, &s.Components)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("read components of %s: %w", r.Name, err)
		}
		out = append(out, s)
	}
	return out, nil
}
