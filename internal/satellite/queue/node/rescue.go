package node

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// With two of three disks gone nothing tells whether the third one has all that
// was accepted, so the two empty nodes wait. Once an operator gives the lost
// disks up, what the third one has is all there is, and the two start beside it.
// They cannot agree on nothing, and it is elected: a vote that comes with an empty
// log counts only if everybody votes (runAsCandidate in raft.go of nats-server),
// and nobody votes for a log that is shorter than its own. That holds for each
// stream, and after a restart of whichever node. What is missing is then found as
// after any other loss.

// rescueFile is there when an operator gave the other lost disks up. It names the
// node that still has something.
const rescueFile = "rescue"

// rescued returns the name of the node that this one may start beside; "" is none.
func (n *Node) rescued() string {
	text, err := os.ReadFile(filepath.Join(n.opts.Dir, rescueFile))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// Rescue has this node, whose disk is empty, filled from the one node that has
// something, and gives up what other disks had. It lasts until the node is filled,
// and changes nothing once another disk is back.
func (n *Node) Rescue(_ context.Context, survivor string) error {
	switch {
	case len(n.opts.Peers) == 0:
		return fmt.Errorf("%w: this queue has one node", operate.ErrConflict)
	case survivor == n.opts.Name || survivor == "" || strings.ContainsAny(survivor, " \n"):
		return fmt.Errorf("%w: %q is no other node", operate.ErrConflict, survivor)
	case n.has() != "":
		return fmt.Errorf("%w: the disk of %s is not empty", operate.ErrConflict, n.opts.Name)
	}
	if n.rescued() == survivor {
		return nil
	}
	n.opts.Log.Warn("an operator gave the queue's lost disks up: this node is filled from the one that is left", "node", n.opts.Name, "from", survivor)
	return writeSynced(filepath.Join(n.opts.Dir, rescueFile), []byte(survivor+"\n"))
}

// Disk returns what the node's disk holds.
func (n *Node) Disk() operate.Disk {
	d := operate.Disk{Node: n.opts.Name, Complete: n.has() != "", Rescue: n.rescued()}
	if err := n.Ready(); err != nil {
		d.Reason = err.Error()
	}
	ns, _ := n.running()
	d.Running = ns != nil
	for _, s := range n.streams() {
		d.Streams = append(d.Streams, operate.DiskStream{Name: s.name, Messages: s.messages, Last: s.last, LastAt: s.lastAt, Bytes: s.bytes})
	}
	return d
}

// operatorRoutes are what an operator asks this node.
func (n *Node) operatorRoutes() http.Handler {
	return operate.NodeHandler(operate.NodeOptions{Token: string(n.opts.Secret), Node: n, Log: n.opts.Log})
}
