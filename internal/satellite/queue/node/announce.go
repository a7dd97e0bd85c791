package node

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// announceSubject is what nodes announce themselves below, each by its name.
	announceSubject = "node"
	// announceEvery is how often a node tells engines how it is.
	announceEvery = time.Second
)

// Announcement is what a node tells engines of itself, every second.
type Announcement struct {
	Name string `json:"name"`
	// Reason says why it is not ready: empty when it is.
	Reason string `json:"ready,omitempty"`
	// Free and Total are the bytes of its disk.
	Free  int64 `json:"free"`
	Total int64 `json:"total"`
	// Used are the bytes that it stores, Size those of the volume that it was
	// told of.
	Used int64 `json:"used"`
	Size int64 `json:"size"`
	// Stored is what it stores, by stream.
	Stored map[string]Stored `json:"stored,omitempty"`
	// Erased is what could not be read of its disk lately and no other node had whole.
	Erased *Erased `json:"erased,omitempty"`
}

// OnAnnouncement calls f with what each node tells of itself, as long as conn
// lasts. f must not block.
func OnAnnouncement(conn *nats.Conn, f func(Announcement)) error {
	_, err := conn.Subscribe(announceSubject+".*", func(m *nats.Msg) {
		var a Announcement
		if json.Unmarshal(m.Data, &a) == nil && a.Name != "" {
			f(a)
		}
	})
	return err
}

// announce tells engines how the node is until ctx ends.
func (n *Node) announce(ctx context.Context) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	said := ""
	for {
		if err := n.restartSick(ctx); err != nil && ctx.Err() == nil {
			n.opts.Log.Error("the queue's node does not start again", "node", n.opts.Name, "error", err)
		}
		figures := n.figures()
		n.markComplete(figures.Reason == "")
		if lacks := n.lacks(figures.Stored); lacks != "" && figures.Reason == "" {
			figures.Reason = lacks
			if lacks != said {
				n.opts.Log.Error("the queue's nodes differ", "node", n.opts.Name, "reason", lacks)
			}
			said = lacks
			if err := n.refill(ctx, lacks); err != nil && ctx.Err() == nil {
				n.opts.Log.Error("the queue's node is not filled anew", "node", n.opts.Name, "error", err)
			}
		}
		if text, err := json.Marshal(figures); err == nil {
			_ = n.conn.Publish(announceSubject+"."+n.opts.Name, text)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// compare hears what the other nodes store, as long as the node's connection lasts.
func (n *Node) compare() error {
	if len(n.opts.Peers) != 3 {
		return nil
	}
	return OnAnnouncement(n.conn, func(a Announcement) {
		if a.Name != n.opts.Name {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.comparison.hear(a, time.Now())
		}
	})
}

func (n *Node) lacks(own map[string]Stored) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.comparison.lacks(own, time.Now())
}
