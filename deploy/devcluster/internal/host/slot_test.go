//go:build linux

package host

import (
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/constellation-serving/constellation/deploy/devcluster/internal/node"
)

func TestAllocateAtTheSameMoment(t *testing.T) {
	s := Slots{Dir: t.TempDir()}
	names := []string{"a", "b", "c", "d", "e", "f"}
	got := make([]int, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		all.Go(func() {
			r, err := s.Allocate(t.Context(), name, "/state/"+name, nil)
			if err != nil {
				t.Error(err)
			}
			got[i] = r.Slot
		})
	}
	all.Wait()
	slices.Sort(got)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4, 5}, got); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	r, found, err := s.Find("c")
	if err != nil || !found || r.StateDir != "/state/c" {
		t.Errorf("Find(c) = %+v, %v, %v", r, found, err)
	}
	if r.Alive() {
		t.Error("a record without a process is alive")
	}
}

func TestAllocateReusesFreedAndAvoidsBusy(t *testing.T) {
	s := Slots{Dir: t.TempDir()}
	busy := []netip.Prefix{netip.MustParsePrefix("10.210.0.0/30"), netip.MustParsePrefix("10.129.0.128/25"), netip.MustParsePrefix("10.162.8.0/24")}
	allocate := func(name string) Record {
		t.Helper()
		r, err := s.Allocate(t.Context(), name, "/state", busy)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	first := allocate("a")
	if first.Slot != 3 {
		t.Errorf("first slot = %d, want 3: the link of 0, pods of 1 and services of 2 are taken", first.Slot)
	}
	if err := s.Free(first); err != nil {
		t.Fatal(err)
	}
	if again := allocate("b"); again.Slot != 3 {
		t.Errorf("slot after Free = %d, want 3", again.Slot)
	}
}

func TestAllocateRefusesWhenFull(t *testing.T) {
	s := Slots{Dir: t.TempDir()}
	if _, err := s.Allocate(t.Context(), "a", "/state", []netip.Prefix{netip.MustParsePrefix("10.128.0.0/9")}); err == nil {
		t.Error("Allocate with every range busy gave a slot")
	}
}

func TestNetworksDoNotOverlap(t *testing.T) {
	var all []netip.Prefix
	for n := range slots {
		network := NetworkFor(n)
		for _, p := range []netip.Prefix{network.Pods, network.Services, netip.PrefixFrom(network.Host, network.LinkBits).Masked()} {
			for _, other := range all {
				if p.Overlaps(other) {
					t.Errorf("slot %d: %s overlaps %s", n, p, other)
				}
			}
			all = append(all, p)
		}
		if len(network.HostDevice) > 15 || len(network.InnerDevice) > 15 {
			t.Errorf("slot %d: device name longer than the kernel takes", n)
		}
	}
}

func TestParseRoutes(t *testing.T) {
	const text = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	0	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
tun0	0000000A	00000000	0001	0	0	0	000000FF	0	0	0
`
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	if diff := cmp.Diff(want, parseRoutes(text), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("parseRoutes (-want +got):\n%s", diff)
	}
}

func TestHierarchies(t *testing.T) {
	tests := []struct {
		name, mounts string
		want         []node.Hierarchy
	}{
		{"unified", "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nsdelegate 0 0\n", []node.Hierarchy{{Path: "/sys/fs/cgroup", Unified: true}}},
		{"hybrid", "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/systemd cgroup rw,xattr,release_agent=/x,name=systemd 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			[]node.Hierarchy{{Path: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct"}, {Path: "/sys/fs/cgroup/systemd", Options: "xattr,none,name=systemd"}, {Path: "/sys/fs/cgroup/unified", Unified: true}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, hierarchies(test.mounts)); diff != "" {
				t.Errorf("hierarchies (-want +got):\n%s", diff)
			}
		})
	}
}
