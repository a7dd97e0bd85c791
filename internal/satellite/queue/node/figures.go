package node

import (
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// stream is what a node knows of one stream of its own.
type stream struct {
	name     string
	messages uint64
	last     uint64
	lastAt   time.Time
	bytes    uint64
	leads    bool
}

// streams returns what the node stores, by stream.
func (n *Node) streams() []stream {
	ns, _ := n.running()
	if ns == nil {
		return nil
	}
	js, err := ns.Jsz(&server.JSzOptions{Accounts: true, Streams: true})
	if err != nil {
		return nil
	}
	var all []stream
	for _, account := range js.AccountDetails {
		for _, s := range account.Streams {
			leads := s.Cluster == nil || s.Cluster.Leader == n.opts.Name || s.Cluster.Leader == ""
			all = append(all, stream{s.Name, s.State.Msgs, s.State.LastSeq, s.State.LastTime.UTC(), s.State.Bytes, leads})
		}
	}
	return all
}

// figures returns how the node is now.
func (n *Node) figures() Announcement {
	free, total, err := n.opts.Room(n.opts.Dir)
	n.mu.Lock()
	if err == nil {
		n.free, n.total = free, total
	}
	a := Announcement{Name: n.opts.Name, Free: n.free, Total: n.total, Size: n.opts.Size, Erased: n.erased}
	n.mu.Unlock()
	if err := n.Ready(); err != nil {
		a.Reason = err.Error()
	}
	if ns, _ := n.running(); ns != nil {
		if js, err := ns.Jsz(nil); err == nil {
			a.Used = int64(js.Store)
		}
	}
	if len(n.opts.Peers) == 3 {
		a.Stored = map[string]Stored{}
		for _, s := range n.streams() {
			a.Stored[s.name] = Stored{s.messages, s.last}
		}
	}
	return a
}
