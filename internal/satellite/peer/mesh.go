package peer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
)

// Path is where engines accept links, on the address of the calls.
const Path = "/internal/peer"

const (
	dialTimeout  = 2 * time.Second
	connectEvery = 500 * time.Millisecond
	// joinTimeout is how long an engine that starts waits for the others.
	joinTimeout = 5 * time.Second
)

var (
	errSelf      = errors.New("the engine's own address")
	errDuplicate = errors.New("there is another link to the engine")
)

// Host is the engine whose links a mesh keeps.
type Host interface {
	// Pool returns the pool of an algorithm, or nil.
	Pool(algorithm string) *pool.Pool
	// Pools returns all pools.
	Pools() []*pool.Pool
	// PeerReport returns what the other engines are told of this one, nil is
	// nothing.
	PeerReport() []byte
	// OnSpent is called when another engine served a call with an API key that
	// has a rate.
	OnSpent(keyID string)
}

// Finder finds the satellite's engines.
type Finder interface {
	// Engines returns the engines' addresses as far as they are known, this one's
	// perhaps among them.
	Engines() []string
	// Complete reports whether they are all known.
	Complete() bool
}

// EventLoop serves connections without a goroutine for each.
type EventLoop interface {
	// Carry attaches a socket of the loop's own to the connection, and feeds it
	// what comes, until the connection is cut. The function that it returns waits
	// until the loop has let go of it. A nil function means that there is no loop
	// for this connection.
	Carry(*Conn) (stop func())
}

// Options are what a mesh is made with; all but Secret are required.
type Options struct {
	Secret []byte // that the engines have in common; nil allows no links
	Host   Host
	Finder Finder
	Loop   EventLoop
	Log    *slog.Logger
}

// Mesh is an engine's links to the satellite's other engines.
type Mesh struct {
	opts     Options
	id       string
	lifetime context.Context // of the links that others dialed
	started  time.Time
	tasks    sync.WaitGroup

	mu       sync.Mutex
	links    map[string]*link  // by engine ID
	known    map[string]string // engine IDs by address, once learned
	tried    map[string]bool   // addresses that were dialed, with whatever result
	dialing  map[string]bool
	draining bool
	joined   bool
	stopped  bool // no link is served any more
}

// New returns a mesh without links. Those that others dial end with ctx.
func New(ctx context.Context, o Options) *Mesh {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // which never fails
	return &Mesh{
		opts: o, id: hex.EncodeToString(id), lifetime: ctx, started: time.Now(),
		links: map[string]*link{}, known: map[string]string{}, tried: map[string]bool{}, dialing: map[string]bool{},
	}
}

// Secret returns what the engines of a launch have in common: a hash of the
// launch's token. It is nil when there is no token.
func Secret(token []byte) []byte {
	if len(token) == 0 {
		return nil
	}
	sum := sha256.Sum256(append([]byte("constellation peer\n"), token...))
	return sum[:]
}

// Shared reports whether there may be other engines: those that have the same
// secret.
func (m *Mesh) Shared() bool { return m.opts.Secret != nil }

// Run keeps links to all engines until ctx ends.
func (m *Mesh) Run(ctx context.Context) {
	defer m.stop()
	tick := time.NewTicker(connectEvery)
	defer tick.Stop()
	for {
		m.connect(ctx)
		m.report()
		select {
		case <-ctx.Done():
			m.Cut(ctx.Err())
			return
		case <-tick.C:
		}
	}
}

// stop waits until the links, which were cut, have ended.
func (m *Mesh) stop() {
	m.mu.Lock()
	m.stopped = true
	m.mu.Unlock()
	m.Cut(net.ErrClosed) // those that came in the meantime
	m.tasks.Wait()
}

// connect dials the engines that are not linked.
func (m *Mesh) connect(ctx context.Context) {
	if m.opts.Secret == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, addr := range m.opts.Finder.Engines() {
		id := m.known[addr]
		if m.dialing[addr] || id == m.id && id != "" || m.links[id] != nil {
			continue
		}
		m.dialing[addr] = true
		m.tasks.Go(func() { m.dial(ctx, addr) })
	}
}

// Joined reports whether the other engines that there are were tried. It stays
// true: whether this engine is ready does not depend on those that come later.
func (m *Mesh) Joined() bool {
	if m.opts.Secret == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.joined || time.Since(m.started) > joinTimeout {
		return true
	}
	if !m.opts.Finder.Complete() {
		return false
	}
	for _, addr := range m.opts.Finder.Engines() {
		if !m.tried[addr] {
			return false
		}
	}
	m.joined = true
	return true
}

// dial links to the engine at addr, until the link ends.
func (m *Mesh) dial(ctx context.Context, addr string) {
	l, err := m.handshake(ctx, addr)
	m.mu.Lock()
	m.tried[addr] = true
	delete(m.dialing, addr)
	switch {
	case errors.Is(err, errSelf):
		m.known[addr] = m.id
	case l != nil:
		m.known[addr] = l.id
	}
	m.mu.Unlock()
	if err == nil {
		m.serve(ctx, l)
	} else if !errors.Is(err, errSelf) {
		m.opts.Log.Debug("no link to an engine", "address", addr, "error", err)
	}
}

// serve serves a link until it ends.
func (m *Mesh) serve(ctx context.Context, l *link) {
	if !m.add(l) {
		l.Cut(errDuplicate)
		return
	}
	m.opts.Log.Info("linked to an engine", "engine", l.id, "remote", l.NetConn().RemoteAddr().String())
	stop := context.AfterFunc(ctx, func() { l.Cut(ctx.Err()) })
	err := l.run(m.opts.Loop)
	stop()
	l.end()
	if ctx.Err() == nil {
		m.opts.Log.Info("the link to an engine ended", "engine", l.id, "error", err)
	}
}

// add adds a link. Of two to the same engine, both ends keep the one that the
// smaller ID dialed.
func (m *Mesh) add(l *link) bool {
	m.mu.Lock()
	old := m.links[l.id]
	if old != nil && (l.dialer != min(m.id, l.id) || old.dialer == l.dialer) {
		m.mu.Unlock()
		return false
	}
	m.links[l.id] = l
	draining := m.draining
	m.mu.Unlock()
	if old != nil {
		old.Cut(errDuplicate)
	}
	if draining {
		l.send(message{kind: kindState, n: 1})
	}
	m.AssignOwners()
	m.report()
	return true
}

func (m *Mesh) remove(l *link) {
	m.mu.Lock()
	if m.links[l.id] == l {
		delete(m.links, l.id)
	}
	m.mu.Unlock()
	m.AssignOwners()
}

func (m *Mesh) all() []*link {
	m.mu.Lock()
	defer m.mu.Unlock()
	links := make([]*link, 0, len(m.links))
	for _, l := range m.links {
		links = append(links, l)
	}
	return links
}

// Cut ends all links that there are, with no goodbye.
func (m *Mesh) Cut(cause error) {
	for _, l := range m.all() {
		l.Cut(cause)
	}
}

// State is a mesh's state at one moment.
type State struct {
	Links    int    // engines that this one is linked to
	Tried    int    // addresses that were dialed, with whatever result
	Requests uint64 // for slots, that went over these links
}

// State returns the mesh's state now.
func (m *Mesh) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{Links: len(m.links), Tried: len(m.tried)}
	for _, l := range m.links {
		l.mu.Lock()
		s.Requests += l.requests
		l.mu.Unlock()
	}
	return s
}
