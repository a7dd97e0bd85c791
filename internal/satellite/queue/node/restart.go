package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// restartPercent of the volume is free when a node goes on whose disk was full.
const restartPercent = 5

// errNoSpace says what a node waits for that could not write.
var errNoSpace = errors.New("its disk was full, and it waits until there is room again")

// restartEvery is how often a node starts again at most: its disk may be broken.
const restartEvery = 30 * time.Second

// abandonedLooks is how many looks in a row, a second apart, find a stream
// abandoned before the server starts again. A server that begins is so for a moment.
const abandonedLooks = 10

// stalled reports whether the server gave up its disk: after one write that
// fails it stores nothing any more, however much room there is later. The server
// says of its storage that it is off, or in sick, what its health says, of a stream
// that writing it failed.
func stalled(ns *server.Server, sick error) bool {
	return !ns.JetStreamEnabled() || sick != nil && strings.Contains(sick.Error(), "write error")
}

// abandoned reports whether the server gave up following a stream, of which its
// health then says sick for ever. nats-server 2.15.3 does when another node's
// snapshot replaces the one that it is about to read, in its first second.
func abandoned(sick error) bool {
	return sick != nil && strings.Contains(sick.Error(), "monitor goroutine not running")
}

// restartSick starts the server anew that does not recover by itself: one whose
// disk was full and has room again, and one that abandoned a stream. It is called
// every second.
func (n *Node) restartSick(ctx context.Context) error {
	ns, _ := n.running()
	if ns == nil {
		return nil
	}
	sick := health(ns)
	if !abandoned(sick) {
		n.abandonedLooks = 0
	} else {
		n.abandonedLooks++
	}
	switch {
	case time.Since(n.restarted) < restartEvery:
		return nil
	case stalled(ns, sick):
		free, total, err := n.opts.Room(n.opts.Dir)
		if err != nil || free < min(n.opts.Size, total)/100*restartPercent {
			return err
		}
		n.opts.Log.Warn("the queue's node starts again: a write to its disk failed, which has room now", "node", n.opts.Name, "free", free)
	case n.abandonedLooks >= abandonedLooks:
		n.opts.Log.Warn("the queue's node starts again: it does not follow its log any more", "node", n.opts.Name, "reason", sick)
	default:
		return nil
	}
	n.restarted, n.abandonedLooks = time.Now(), 0
	ns.Shutdown()
	ns.WaitForShutdown()
	return n.serve(ctx)
}

// serve starts a server on the node's folder, and returns once it answers.
func (n *Node) serve(ctx context.Context) error {
	config, err := serverOptions(n.opts, n.credentials)
	if err != nil {
		return err
	}
	ns, err := server.NewServer(config)
	if err != nil {
		return fmt.Errorf("set up the queue node: %w", err)
	}
	log := &serverLog{log: n.opts.Log.With("node", n.opts.Name)}
	ns.SetLoggerV2(log, false, false, false)
	go ns.Start()
	if err := started(ctx, ns, log); err != nil {
		ns.Shutdown()
		ns.WaitForShutdown()
		return fmt.Errorf("start the queue node: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.server = ns
	return nil
}

// InProcessConn connects to the server that runs now.
func (n *Node) InProcessConn() (net.Conn, error) {
	ns, waits := n.running()
	if ns == nil {
		return nil, errors.New(waits)
	}
	return ns.InProcessConn()
}
