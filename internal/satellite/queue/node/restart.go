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

// stalled reports whether the server gave up its disk: after one write that
// fails it stores nothing any more, however much room there is later. The server
// says of its storage that it is off, or in sick, what its health says, of a stream
// that writing it failed.
func stalled(ns *server.Server, sick error) bool {
	return !ns.JetStreamEnabled() || sick != nil && strings.Contains(sick.Error(), "write error")
}

// restartStalled starts the server anew once its disk has room again. It is
// called every second.
func (n *Node) restartStalled(ctx context.Context) error {
	ns, _ := n.running()
	if ns == nil || time.Since(n.restarted) < restartEvery || !stalled(ns, health(ns)) {
		return nil
	}
	free, total, err := n.opts.Room(n.opts.Dir)
	if err != nil || free < min(n.opts.Size, total)/100*restartPercent {
		return err
	}
	n.restarted = time.Now()
	n.opts.Log.Warn("the queue's node starts again: a write to its disk failed, which has room now", "node", n.opts.Name, "free", free)
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
