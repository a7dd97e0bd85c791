package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/constellation-serving/constellation/internal/satellite/config"
	"github.com/constellation-serving/constellation/internal/satellite/peer"
	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/routing"
	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// newMesh returns the links to the satellite's other engines.
func newMesh(e *Engine) (*peer.Mesh, error) {
	secret, err := readSecret(e.opts)
	if err != nil {
		return nil, err
	}
	return peer.New(e.background, peer.Options{Secret: secret, Host: peerHost{e}, Finder: peerFinder{e}, Loop: peerLoop{e}, Log: e.log}), nil
}

// readSecret reads what the engines have in common; nil without a token, and
// then there are no links.
func readSecret(opts Options) ([]byte, error) {
	path := opts.TokenFile
	if path == "" {
		path = filepath.Join(opts.Dir, config.TokenFile)
	}
	token, err := os.ReadFile(path)
	switch {
	case err == nil:
		return peer.Secret(token), nil
	case !errors.Is(err, fs.ErrNotExist) || opts.TokenFile != "":
		return nil, fmt.Errorf("read the token: %w", err)
	case len(opts.Peers) > 0:
		return nil, fmt.Errorf("other engines are named and there is no token to know them by: put the same %s into each engine's folder", path)
	}
	return nil, nil
}

// peerHost is the engine as its links see it.
type peerHost struct{ e *Engine }

// Pool returns the pool of an algorithm, or nil.
func (h peerHost) Pool(algorithm string) *pool.Pool {
	if r := h.e.table.Load().ByVanityURL[algorithm]; r != nil {
		return r.Pool
	}
	return nil
}

// Pools returns all pools; none before the routes were read.
func (h peerHost) Pools() []*pool.Pool {
	t := h.e.table.Load()
	if t == nil {
		return nil
	}
	pools := make([]*pool.Pool, len(t.Routes))
	for i, r := range t.Routes {
		pools[i] = r.Pool
	}
	return pools
}

// PeerReport returns what this engine counted.
func (h peerHost) PeerReport() []byte {
	data, err := json.Marshal(h.e.Snapshot())
	if err != nil {
		return nil
	}
	return data
}

// OnSpent notes a call that another engine served.
func (h peerHost) OnSpent(keyID string) { h.e.keys.OnSpent(keyID, h.e.now()) }

// snapshots returns what the other engines counted.
func (e *Engine) snapshots() []stats.Snapshot {
	var out []stats.Snapshot
	for _, report := range e.mesh.Reports() {
		var s stats.Snapshot
		if err := json.Unmarshal([]byte(report), &s); err == nil && s.Engines > 0 {
			out = append(out, s)
		}
	}
	return out
}

// peerFinder finds the satellite's engines: those that are named, or else those
// behind the engines' service.
type peerFinder struct{ e *Engine }

// Engines returns their addresses. One that is not ready is among them: an engine
// is linked before it is ready.
func (f peerFinder) Engines() []string {
	e := f.e
	if len(e.opts.Peers) > 0 || e.watcher == nil {
		return e.opts.Peers
	}
	return routing.WithPort(e.watcher.Alive(e.opts.PeerService), e.port)
}

// Complete reports whether Engines are all.
func (f peerFinder) Complete() bool {
	return len(f.e.opts.Peers) > 0 || f.e.watcher == nil || f.e.watcher.Synced()
}

// peerLoop has links' connections served by the fast path, if there is one.
type peerLoop struct{ e *Engine }

// Carry hands a connection to an event loop, and returns nil when there is none.
func (l peerLoop) Carry(c *peer.Conn) (stop func()) {
	if s := l.e.server.Load(); s != nil {
		return s.loops[0].links.Carry(c)
	}
	return nil
}
