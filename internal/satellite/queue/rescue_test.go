package queue

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

func (n *testNode) operator() *operate.Client {
	return operate.NewClient(strings.TrimSpace(testSecret), "http://"+n.opts.HealthListen, http.DefaultTransport)
}

// calls returns what the node's disk has of accepted calls.
func (n *testNode) calls() (operate.DiskStream, error) {
	disk, err := n.operator().Disk(n.t.Context())
	if err != nil {
		return operate.DiskStream{}, err
	}
	i := slices.IndexFunc(disk.Streams, func(s operate.DiskStream) bool { return s.Name == workStream })
	if i < 0 || !disk.Complete || !disk.Running {
		return operate.DiskStream{}, fmt.Errorf("its disk is %+v", disk)
	}
	return disk.Streams[i], nil
}

// waits waits until the node says that it waits, and why.
func (n *testNode) waits(why string) {
	n.t.Helper()
	eventually(n.t, n.opts.Name+" waits", func() error {
		if err := n.ready(); err == nil || !strings.Contains(err.Error(), why) {
			return fmt.Errorf("its readiness: %w; want %q", err, why)
		}
		return nil
	})
}

// TestRescueKeepsWhatTheLastNodeHas: two disks are gone for good, and the third
// one lacks what was accepted while it was away.
func TestRescueKeepsWhatTheLastNodeHas(t *testing.T) {
	t.Parallel()
	const there, missing = 60, 9
	marker := &memoryMarker{}
	c, q := startCluster(t, Options{Marker: marker, behindFor: time.Second})
	first, last, second := c.nodes[0], c.nodes[1], c.nodes[2]
	publishMany(t, q, 0, there)
	c.complete()
	eventually(t, "the last node has all that was accepted", func() error {
		if calls, err := last.calls(); err != nil || calls.Messages != there {
			return fmt.Errorf("it has %+v: %w", calls, err)
		}
		return nil
	})
	last.kill()
	publishMany(t, q, there, missing)
	if err := q.observe(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testNode{first, second} {
		n.kill()
		n.wipe()
		n.begin()
	}
	last.start()
	const noMajority = "there is no majority that has what was accepted"
	first.waits(noMajority)
	second.waits(noMajority)

	if calls, err := last.calls(); err != nil || calls.Messages != there || calls.Last != there || calls.LastAt.IsZero() {
		t.Errorf("the calls on the disk that is left: %+v, %v", calls, err)
	}
	if _, err := last.operator().Rescue(t.Context(), first.opts.Name); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("the node that has something is to be filled: %v", err)
	}
	// Nothing happens before both are told, nor by the name of one that has nothing.
	if _, err := second.operator().Rescue(t.Context(), first.opts.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := first.operator().Rescue(t.Context(), last.opts.Name); err != nil {
		t.Fatal(err)
	}
	first.started()
	second.waits(noMajority)
	// Restarts on the way change nothing: not of one that is filled, nor of the one
	// that has everything, without which the two others are a majority.
	first.kill()
	first.start()
	if d, err := second.operator().Rescue(t.Context(), last.opts.Name); err != nil || d.Rescue != last.opts.Name {
		t.Fatalf("%+v, %v", d, err)
	}
	second.started()
	last.kill()
	last.start()
	c.ready()
	c.complete()
	eventually(t, "the queue takes calls", q.Ready)
	holds(t, q, there)
	if l := q.Losses(); len(l) != 1 || l[0].Calls != missing {
		t.Errorf("losses %+v, want one of %d calls", l, missing)
	}
	for _, n := range c.nodes {
		if d, err := n.operator().Disk(t.Context()); err != nil || d.Rescue != "" || !d.Complete {
			t.Errorf("afterwards: %+v, %v", d, err)
		}
	}
	// What was filled is as good as what filled it.
	last.kill()
	last.wipe()
	holds(t, q, there)
	publishMany(t, q, there, 10)
	last.start()
	c.ready()
	holds(t, q, there+10)
}
