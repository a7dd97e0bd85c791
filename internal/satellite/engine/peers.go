package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/fnv"
	"io"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/stats"
)

// peers are the satellite's other engines. Each algorithm has one engine that
// grants its slots, chosen by rendezvous hashing over the engines that are
// linked and not draining; so a slot is never given twice, and the queue is
// one for the whole satellite. When an engine comes or goes, only the
// algorithms that it grants change hands.
type peers struct {
	e      *Engine
	id     string
	secret []byte // both ends prove that they have it; nil allows no links

	mu       sync.Mutex
	links    map[string]*link  // by engine id
	known    map[string]string // engine ids by address, once told
	tried    map[string]bool   // addresses that were dialed, with whatever result
	dialing  map[string]bool
	wanted   []string
	draining bool
	told     bool // that we have met the others
	started  time.Time
	tasks    sync.WaitGroup
}

const (
	peerPath     = "/internal/peer"
	peerProtocol = "constellation-peer"
	peerDialing  = 2 * time.Second
	peerEvery    = 500 * time.Millisecond
	// meetFor is how long an engine that starts waits for the others.
	meetFor = 5 * time.Second
)

// errSelf: the address is our own.
var errSelf = errors.New("the engine's own address")

func newPeers(e *Engine, secret []byte) *peers {
	id := make([]byte, 8)
	_, _ = rand.Read(id)
	return &peers{
		e: e, id: hex.EncodeToString(id), secret: secret, started: time.Now(),
		links: map[string]*link{}, known: map[string]string{}, tried: map[string]bool{}, dialing: map[string]bool{},
	}
}

// peerSecret is what the engines of a launch have in common: a hash of the
// launch's token.
func peerSecret(token []byte) []byte {
	if len(token) == 0 {
		return nil
	}
	sum := sha256.Sum256(append([]byte("constellation peer\n"), token...))
	return sum[:]
}

// run keeps links to all engines until ctx ends.
func (p *peers) run(ctx context.Context) {
	defer p.tasks.Wait()
	tick := time.NewTicker(peerEvery)
	defer tick.Stop()
	for {
		p.connect(ctx)
		p.tellStats()
		select {
		case <-ctx.Done():
			for _, l := range p.all() {
				l.cut(ctx.Err())
			}
			return
		case <-tick.C:
		}
	}
}

// connect dials the engines that are not linked.
func (p *peers) connect(ctx context.Context) {
	if p.secret == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = p.e.peerAddresses()
	for _, addr := range p.wanted {
		id := p.known[addr]
		if p.dialing[addr] || id == p.id && id != "" || p.links[id] != nil {
			continue
		}
		p.dialing[addr] = true
		p.tasks.Go(func() { p.dial(ctx, addr) })
	}
}

// met says whether the other engines that there are were tried. It stays
// true: later ones do not matter to whether this one is ready.
func (p *peers) met() bool {
	if p.secret == nil {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told || time.Since(p.started) > meetFor {
		return true
	}
	if !p.e.peersKnown() {
		return false
	}
	for _, addr := range p.e.peerAddresses() {
		if !p.tried[addr] {
			return false
		}
	}
	p.told = true
	return true
}

// dial links to the engine at addr, until the link ends.
func (p *peers) dial(ctx context.Context, addr string) {
	l, err := p.handshake(ctx, addr)
	p.mu.Lock()
	p.tried[addr] = true
	delete(p.dialing, addr)
	switch {
	case errors.Is(err, errSelf):
		p.known[addr] = p.id
	case l != nil:
		p.known[addr] = l.id
	}
	p.mu.Unlock()
	if err == nil {
		p.hold(ctx, l)
	} else if !errors.Is(err, errSelf) {
		p.e.log.Debug("no link to an engine", "address", addr, "error", err)
	}
}

// hold serves a link until it ends.
func (p *peers) hold(ctx context.Context, l *link) {
	if !p.add(l) {
		l.cut(errTwice)
		return
	}
	p.e.log.Info("linked to an engine", "engine", l.id, "remote", l.conn.RemoteAddr().String())
	stop := context.AfterFunc(ctx, func() { l.cut(ctx.Err()) })
	err := l.run(p.e.front.Load())
	stop()
	l.end()
	if ctx.Err() == nil {
		p.e.log.Info("the link to an engine ended", "engine", l.id, "error", err)
	}
}

// add takes a link in. Of two to the same engine, both ends keep the one that
// the smaller id dialed.
func (p *peers) add(l *link) bool {
	p.mu.Lock()
	old := p.links[l.id]
	if old != nil && (l.dialed != min(p.id, l.id) || old.dialed == l.dialed) {
		p.mu.Unlock()
		return false
	}
	p.links[l.id] = l
	draining := p.draining
	p.mu.Unlock()
	if old != nil {
		old.cut(errTwice)
	}
	if draining {
		l.send(message{word: wordState, n: 1})
	}
	p.assign()
	p.tellStats()
	return true
}

func (p *peers) remove(l *link) {
	p.mu.Lock()
	if p.links[l.id] == l {
		delete(p.links, l.id)
	}
	p.mu.Unlock()
	p.assign()
}

func (p *peers) all() []*link {
	p.mu.Lock()
	defer p.mu.Unlock()
	links := make([]*link, 0, len(p.links))
	for _, l := range p.links {
		links = append(links, l)
	}
	return links
}

// drain hands the algorithms that this engine grants to the others.
func (p *peers) drain() {
	p.mu.Lock()
	p.draining = true
	p.mu.Unlock()
	// First which slots are in use, then that others grant them: who takes an
	// algorithm over knows of every call before it starts one.
	p.assign()
	for _, l := range p.all() {
		l.send(message{word: wordState, n: 1})
	}
}

// assign chooses each algorithm's granter anew.
func (p *peers) assign() {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.e.table.Load()
	if t == nil {
		return
	}
	for _, r := range t.routes {
		r.pool.setGranter(p.granter(r.VanityURL))
	}
}

// granter is the engine with the highest hash; nil is this one.
func (p *peers) granter(algorithm string) *link {
	score := func(id string) uint64 {
		h := fnv.New64a()
		_, _ = io.WriteString(h, algorithm+"\n"+id)
		sum := h.Sum64()
		sum ^= sum >> 33 // FNV's high bits alone are alike for alike ids
		sum *= 0xff51afd7ed558ccd
		return sum ^ sum>>33
	}
	var (
		best *link
		most uint64
	)
	if !p.draining {
		most = score(p.id)
	}
	for id, l := range p.links {
		l.mu.Lock()
		draining := l.draining
		l.mu.Unlock()
		if s := score(id); !draining && s > most {
			best, most = l, s
		}
	}
	return best
}

func (p *peers) pool(algorithm string) *pool {
	if r := p.e.table.Load().vanity[algorithm]; r != nil {
		return r.pool
	}
	return nil
}

func (p *peers) pools() []*pool {
	routes := p.e.table.Load().routes
	pools := make([]*pool, len(routes))
	for i, r := range routes {
		pools[i] = r.pool
	}
	return pools
}

// tellStats tells the others what this engine counted, and that it lives.
func (p *peers) tellStats() {
	links := p.all()
	if len(links) == 0 {
		return
	}
	data, err := json.Marshal(p.e.Snapshot())
	if err != nil {
		return
	}
	for _, l := range links {
		l.send(message{word: wordStats, text: string(data)})
	}
}

// tellSpent tells the others of a call with a key that has a rate: it holds
// over all engines, but for what comes to several within the time of a message.
func (p *peers) tellSpent(keyID string) {
	for _, l := range p.all() {
		l.send(message{word: wordSpent, text: keyID})
	}
}

// snapshots are what the others told.
func (p *peers) snapshots() []stats.Snapshot {
	var out []stats.Snapshot
	for _, l := range p.all() {
		l.mu.Lock()
		told := l.told
		l.mu.Unlock()
		var s stats.Snapshot
		if err := json.Unmarshal([]byte(told), &s); err == nil && s.Engines > 0 {
			out = append(out, s)
		}
	}
	return out
}
