package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
	"github.com/constellation-serving/constellation/internal/waittest"
)

// blocks returns the files that a node stores a stream's messages in.
func (n *testNode) blocks(stream string) []string {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.opts.Dir, "store", "jetstream", "$G", "streams", stream, "msgs", "*.blk"))
	if err != nil || len(files) == 0 {
		n.t.Fatalf("%s has no blocks of %s: %v", n.opts.Name, stream, err)
	}
	return files
}

// truncated cuts a file in its middle.
func truncated(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err == nil {
		err = os.Truncate(file, info.Size()/2)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// flipped turns a bit in the middle of what a node stores of its first messages.
func flipped(t *testing.T, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err == nil {
		data[len(data)/2] ^= 0x10
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// atRest returns a cluster whose nodes have ended, with so many calls on each disk:
// what a node has in its log too is gone from there after its second end.
func atRest(t *testing.T, marker Marker, calls int) (*testCluster, *Queue) {
	t.Helper()
	c, q := startCluster(t, Options{Marker: marker})
	publishMany(t, q, 0, calls)
	if err := q.observe(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	c.complete()
	for range 2 {
		for _, n := range c.nodes {
			n.stop()
		}
		c.start()
		c.ready()
	}
	for _, n := range c.nodes {
		n.stop()
	}
	return c, q
}

// stored waits until each node has so many messages of calls, and nothing aside.
func (c *testCluster) stored(want int) {
	c.t.Helper()
	for _, n := range c.nodes {
		eventually(c.t, n.opts.Name+" is filled", func() error {
			calls, err := n.calls()
			if err == nil {
				err = n.ready()
			}
			if _, aside := os.Stat(filepath.Join(n.opts.Dir, "damaged")); err != nil || calls.Messages != uint64(want) || aside == nil {
				return fmt.Errorf("it has %d messages, want %d, and something aside: %v: %w", calls.Messages, want, aside == nil, err)
			}
			return nil
		})
	}
}

// TestADamagedNodeIsFilledAnew: one flipped bit is found at the start, though the
// server would not look; and what a disk lost without a trace is found beside the
// two others. Such a node is filled from them by itself.
func TestADamagedNodeIsFilledAnew(t *testing.T) {
	t.Parallel()
	const calls = 300
	c, q := atRest(t, &memoryMarker{}, calls)
	flipped(t, c.nodes[1].blocks(workStream)[0])
	c.start()
	c.ready()
	c.stored(calls)
	for _, n := range c.nodes {
		n.stop()
	}
	for _, file := range c.nodes[2].blocks(workStream) {
		truncated(t, file)
	}
	c.start()
	c.stored(calls)
	c.nodes[0].stop()
	holds(t, q, calls)
	if l := q.Losses(); len(l) != 0 {
		t.Errorf("losses %+v, want none", l)
	}
}

// TestAllDisksAreDamagedAlike: what no node has whole any more is lost, and told
// with its number; all else is kept.
func TestAllDisksAreDamagedAlike(t *testing.T) {
	t.Parallel()
	const calls = 300
	c, q := atRest(t, &memoryMarker{}, calls)
	for _, n := range c.nodes {
		flipped(t, n.blocks(workStream)[0])
	}
	c.start()
	c.ready()
	c.stored(calls - 1)
	eventually(t, "the loss is told", func() error {
		if l := q.Losses(); len(l) != 1 || l[0].Calls != 1 || len(l[0].Erased) != len(c.nodes) {
			return fmt.Errorf("losses %+v, want one of 1 call that three nodes tell", l)
		}
		return nil
	})
	publishMany(t, q, calls, 10)
	for _, n := range c.nodes { // it is told once
		n.stop()
	}
	c.start()
	c.ready()
	// Beside the queue's own attempts, which may leave a node that has no leader yet.
	eventually(t, "the queue is found again", func() error { return q.settle(testContext(t)) })
	if l := q.Losses(); len(l) != 1 {
		t.Errorf("losses %+v", l)
	}
}

// TestTheOnlyDiskIsDamaged: a node that stands alone keeps all calls but those that
// cannot be read, and tells how many these are.
func TestTheOnlyDiskIsDamaged(t *testing.T) {
	t.Parallel()
	marker, dir := &memoryMarker{}, t.TempDir()
	n, err := node.Start(testContext(t), node.Options{Name: "queue-0", Dir: dir, Log: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	q := connect(t, Options{Node: n, Marker: marker})
	publishMany(t, q, 0, 20)
	q.Close()
	close1(t, n)
	at := &testNode{t: t, opts: node.Options{Name: "queue-0", Dir: dir}}
	flipped(t, at.blocks(workStream)[0])
	q = connect(t, Options{Node: startNode(t, node.Options{Dir: dir}), Marker: marker})
	eventually(t, "the loss is told", func() error {
		if s := q.State(testContext(t)); len(s.Losses) != 1 || s.Losses[0].Calls != 1 || s.Calls != 19 {
			return fmt.Errorf("%d calls, losses %+v", s.Calls, s.Losses)
		}
		return q.settle(testContext(t))
	})
}

// TestANewerStoreIsLeftAlone: a node of an older version refuses what a newer one
// wrote, in one sentence, and the two others go on.
func TestANewerStoreIsLeftAlone(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{Marker: &memoryMarker{}})
	publishMany(t, q, 0, 20)
	c.complete()
	n := c.nodes[2]
	n.stop()
	format := filepath.Join(n.opts.Dir, "format")
	if err := os.WriteFile(format, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.begin()
	if said := waittest.Receive(t, "the refusal", n.said); !strings.HasPrefix(said, "refused: the queue's store has format 2") || !strings.Contains(said, "run the newer version") {
		t.Errorf("it says %q", said)
	}
	n.kill()
	publishMany(t, q, 20, 20)
	if err := os.WriteFile(format, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	c.ready()
	holds(t, q, 40)
}
