package engine

import (
	"sync/atomic"

	"github.com/constellation-serving/constellation/internal/satellite/pool"
	"github.com/constellation-serving/constellation/internal/satellite/upstream"
)

// replica is what the engine has of a pool's replica: its connections, and the
// call that runs on it.
type replica struct {
	*upstream.Host
	current atomic.Pointer[running] // the call that started last
}

func newReplica(addr string) *replica { return &replica{Host: upstream.NewHost(addr)} }

// replicaOf returns what the engine has of a pool's replica.
func replicaOf(r *pool.Replica) *replica {
	own, _ := r.Connections().(*replica) // the engine's pools have no others
	return own
}

// runs notes the call that starts, for its insights; with several at once
// nobody can tell them apart.
func (r *replica) runs(c *call) {
	if c.route.Concurrency == 1 {
		r.current.Store(&running{id: c.ID, start: c.Start})
	}
}
