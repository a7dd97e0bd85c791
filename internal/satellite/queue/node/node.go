package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/constellation-serving/constellation/internal/satellite/queue/credentials"
)

const (
	storeFolder = "store"
	clusterName = "queue"
	// storePercent of the volume is what streams may store: the replication's
	// log needs room too.
	storePercent = 75
	// DefaultSize is a volume's size when nothing says another.
	DefaultSize = 10 << 30
)

// Options say how a node of the queue runs.
type Options struct {
	// Name is the node's name for ever: its pod's.
	Name string
	// Dir is where the node stores what it has.
	Dir string
	// Size is the size of the volume that Dir is on. What is stored stays well
	// below it. Zero is DefaultSize.
	Size int64
	// Secret is the launch's token as it is in its file. Who has it may connect.
	// A node that listens nowhere needs none.
	Secret []byte
	// Peers are the route addresses (host:port) of all nodes, this one too.
	// Without any, the node stands alone.
	Peers []string
	// ClientListen, RouteListen and HealthListen are addresses to listen on.
	// An empty one is not listened on.
	ClientListen, RouteListen, HealthListen string
	Log                                     *slog.Logger
	// Room returns what is free of the disk that a folder is on, and its size.
	// Nil asks the system.
	Room func(dir string) (free, total int64, err error)
}

// Node is one node of the queue, in this process.
type Node struct {
	opts        Options
	credentials *credentials.Credentials
	server      *server.Server
	conn        *nats.Conn
	health      *healthServer
	stop        context.CancelFunc
	ended       sync.WaitGroup

	readyLooks     int       // by announce alone
	abandonedLooks int       // likewise
	restarted      time.Time // likewise
	refilled       time.Time // likewise

	mu         sync.Mutex
	waits      string
	free       int64
	total      int64
	closed     bool
	comparison comparison
	damaged    bool    // the store lacks what was erased of it, and is not filled yet
	erased     *Erased // nil for nothing
}

// Start starts a node on its folder, which it checks first, and returns
// once it answers. A node of several may not be ready by then: see Ready. One
// whose disk is empty waits for the others to say what they have.
func Start(ctx context.Context, opts Options) (*Node, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Size <= 0 {
		opts.Size = DefaultSize
	}
	if opts.Room == nil {
		opts.Room = diskRoom
	}
	if opts.Name == "" {
		return nil, errors.New("a queue node needs a name that stays: its pod's")
	}
	if len(opts.Secret) == 0 && opts.ClientListen == "" && len(opts.Peers) == 0 {
		opts.Secret = []byte(rand.Text())
	}
	c, err := credentials.Derive(opts.Secret)
	if err != nil {
		return nil, err
	}
	if err := prepare(opts.Dir); err != nil {
		return nil, err
	}
	if _, err := serverOptions(opts, c); err != nil {
		return nil, err
	}
	n := &Node{opts: opts, credentials: c}
	if opts.HealthListen != "" {
		if n.health, err = startHealth(n); err != nil {
			return nil, err
		}
	}
	if err := n.start(ctx); err != nil {
		if n.health != nil {
			n.health.close()
		}
		return nil, err
	}
	return n, nil
}

func (n *Node) start(ctx context.Context) error {
	if err := n.inspect(ctx); err != nil {
		return err
	}
	if err := n.admit(ctx); err != nil {
		return err
	}
	if err := n.serve(ctx); err != nil {
		return err
	}
	var err error
	lasting := nats.GetDefaultOptions()
	lasting.MaxReconnect = -1
	if n.conn, err = n.Connect(lasting); err == nil {
		err = n.compare()
	}
	if err != nil {
		n.server.Shutdown()
		n.server.WaitForShutdown()
		return fmt.Errorf("start the queue node: %w", err)
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	n.stop = stop
	n.ended.Go(func() { n.announce(run) })
	return nil
}

// started waits until a server answers or has died.
func started(ctx context.Context, ns *server.Server, log *serverLog) error {
	for !ns.ReadyForConnections(100 * time.Millisecond) {
		if why := log.died(); why != "" {
			return errors.New(why)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	if why := log.died(); why != "" {
		return errors.New(why)
	}
	return nil
}

// running returns the server, or nil and what the node waits for before it
// starts one.
func (n *Node) running() (*server.Server, string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server, n.waits
}

// serverOptions are the server's settings. None of them is for choosing but
// names, places and size.
func serverOptions(opts Options, c *credentials.Credentials) (*server.Options, error) {
	config := &server.Options{
		ServerName:             opts.Name,
		NoSigs:                 true,
		DontListen:             opts.ClientListen == "",
		Username:               c.Engine.User,
		Password:               c.Engine.Password,
		MaxPayload:             1 << 20,
		DisableJetStreamBanner: true,
		JetStream:              true,
		StoreDir:               filepath.Join(opts.Dir, storeFolder),
		JetStreamMaxStore:      opts.Size / 100 * storePercent,
		JetStreamMaxMemory:     32 << 20,
		SyncAlways:             true,
		LameDuckGracePeriod:    time.Second,
		LameDuckDuration:       3 * time.Second,
	}
	var err error
	if opts.ClientListen != "" {
		if config.Host, config.Port, err = splitAddress(opts.ClientListen); err != nil {
			return nil, err
		}
		config.TLSConfig = c.TLS()
		config.TLSTimeout = 10
	}
	if len(opts.Peers) == 0 {
		return config, nil
	}
	if opts.RouteListen == "" {
		return nil, errors.New("a queue node with peers needs an address for them")
	}
	cluster := &config.Cluster
	if cluster.Host, cluster.Port, err = splitAddress(opts.RouteListen); err != nil {
		return nil, err
	}
	cluster.Name, cluster.Username, cluster.Password = clusterName, c.Node.User, c.Node.Password
	cluster.TLSConfig, cluster.TLSTimeout = c.TLS(), 10
	cluster.NoAdvertise = true
	for _, peer := range opts.Peers {
		if _, _, err := net.SplitHostPort(peer); err != nil {
			return nil, fmt.Errorf("the queue's peer %q is not host:port", peer)
		}
		config.Routes = append(config.Routes, &url.URL{Scheme: "nats-route", Host: peer, User: url.UserPassword(c.Node.User, c.Node.Password)})
	}
	return config, nil
}

func splitAddress(address string) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("the address %q is not host:port", address)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("the address %q has no port number", address)
	}
	if port == 0 {
		return host, server.RANDOM_PORT, nil
	}
	return host, int(port), nil
}

// Connect returns a connection to this node that leaves the process nowhere. It
// is as o says but for where it goes and who logs in.
func (n *Node) Connect(o nats.Options) (*nats.Conn, error) {
	o.InProcessServer = n
	o.User, o.Password = n.credentials.Engine.User, n.credentials.Engine.Password
	return o.Connect()
}

// Close hands leadership over, lets engines move to other nodes, and stops the
// node. What it has stays on its disk.
func (n *Node) Close(ctx context.Context) error {
	n.mu.Lock()
	closed := n.closed
	n.closed = true
	n.mu.Unlock()
	if closed {
		return nil
	}
	n.stop()
	n.ended.Wait()
	n.conn.Close()
	var err error
	if ns, _ := n.running(); ns != nil {
		err = n.shutdown(ctx, ns)
	}
	if n.health != nil {
		n.health.close()
	}
	return err
}

// shutdown ends a server, at once when ctx ends.
func (n *Node) shutdown(ctx context.Context, ns *server.Server) error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if len(n.opts.Peers) > 0 && n.opts.ClientListen != "" {
			ns.LameDuckShutdown()
		}
		ns.Shutdown()
		ns.WaitForShutdown()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		ns.Shutdown()
		<-ended
		return ctx.Err()
	}
}
