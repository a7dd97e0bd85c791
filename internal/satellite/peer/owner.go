package peer

import (
	"hash/fnv"
	"io"
)

// AssignOwners chooses each algorithm's slot owner anew.
func (m *Mesh) AssignOwners() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.opts.Host.Pools() {
		if owner := m.owner(p.Algorithm()); owner != nil {
			p.SetOwner(owner)
		} else {
			p.SetOwner(nil)
		}
	}
}

// owner returns the engine with the highest score; nil is this one.
func (m *Mesh) owner(algorithm string) *link {
	var (
		best *link
		most uint64
	)
	if !m.draining {
		most = score(algorithm, m.id)
	}
	for id, l := range m.links {
		if s := score(algorithm, id); s > most && !l.isDraining() {
			best, most = l, s
		}
	}
	return best
}

func score(algorithm, id string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, algorithm+"\n"+id)
	sum := h.Sum64()
	sum ^= sum >> 33 // FNV's high bits alone are alike for alike IDs
	sum *= 0xff51afd7ed558ccd
	return sum ^ sum>>33
}

// Drain hands the algorithms whose slots this engine owns to the others.
func (m *Mesh) Drain() {
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	// First which slots are in use, then that others own them: who takes an
	// algorithm over knows of every call before it starts one.
	m.AssignOwners()
	for _, l := range m.all() {
		l.send(message{kind: kindState, n: 1})
	}
}
