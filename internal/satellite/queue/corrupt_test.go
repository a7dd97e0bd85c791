package queue

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// TestADamagedNodeIsTold: what a disk lost of a stream its server takes for
// deleted. Such a node is told by its own word, and filled anew from the others
// once it has an empty disk.
func TestADamagedNodeIsTold(t *testing.T) {
	t.Parallel()
	c, q := startCluster(t, Options{Marker: &memoryMarker{}})
	const calls = 300
	publishMany(t, q, 0, calls)
	c.complete()
	for _, n := range c.nodes { // what a node has in its log too is gone from there after its end
		n.stop()
	}
	c.start()
	c.ready()
	n := c.nodes[1]
	n.stop()
	for _, file := range n.blocks(workStream) {
		truncated(t, file)
	}
	n.start()
	c.ready()
	eventually(t, "the damage is told", func() error {
		for _, s := range q.State(testContext(t)).Nodes {
			if told := strings.Contains(s.Reason, "messages of work that both others have"); told != (s.Name == n.opts.Name) {
				return fmt.Errorf("node %s: %q", s.Name, s.Reason)
			}
		}
		return nil
	})
	n.stop()
	n.wipe()
	n.start()
	c.ready()
	eventually(t, "the node is well", func() error {
		for _, s := range q.State(testContext(t)).Nodes {
			if !s.Ready {
				return fmt.Errorf("node %s: %q", s.Name, s.Reason)
			}
		}
		return nil
	})
	c.nodes[0].stop()
	holds(t, q, calls)
	if l := q.Losses(); len(l) != 0 {
		t.Errorf("losses %+v, want none", l)
	}
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
