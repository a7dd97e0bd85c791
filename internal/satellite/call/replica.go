package call

import (
	"sync/atomic"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// Replica is what the engine has of a pool's replica: its connections, and the
// call that runs on it.
type Replica struct {
	*upstream.Host
	current atomic.Pointer[Running] // the call that started last
}

// NewReplica returns the replica at an address, without a connection as yet.
func NewReplica(addr string) *Replica { return &Replica{Host: upstream.NewHost(addr)} }

// ReplicaOf returns what the engine has of a pool's replica.
func ReplicaOf(r *pool.Replica) *Replica {
	own, _ := r.Connections().(*Replica) // the engine's pools have no others
	return own
}

// runs notes the call that starts, for its insights; with several at once
// nobody can tell them apart.
func (r *Replica) runs(c *Call) {
	if c.Route.Concurrency == 1 {
		r.current.Store(&Running{ID: c.ID, Start: c.Start})
	}
}

// Running is the call of a replica that has one call at a time.
type Running struct {
	ID    string
	Start time.Time
}

// Running returns the call that started last; nil when none did.
func (r *Replica) Running() *Running { return r.current.Load() }
