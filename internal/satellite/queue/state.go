package queue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/constellation-serving/constellation/internal/satellite/queue/node"
)

const (
	// nodeLost is when a node that is not heard of counts as away.
	nodeLost = 5 * time.Second
	// fullPercent of a volume is when no new work is taken.
	fullPercent = 85
)

// NodeState says how one node is.
type NodeState struct {
	Name  string
	Ready bool
	// Reason says why it is not ready.
	Reason string
	// Free and Total are the bytes of its disk.
	Free, Total int64
}

// State says how the queue is.
type State struct {
	Reachable bool
	// Reason says why it is not reachable, or takes nothing.
	Reason string
	Nodes  []NodeState
	// Used and Limit are the bytes that are and may be stored on each node.
	Used, Limit int64
	// Calls is how many accepted calls are stored.
	Calls uint64
	// Dead is how many dead letters there are.
	Dead        uint64
	Losses      []Loss
	Incarnation string
}

// State returns how the queue is. It asks the queue for two seconds at most.
func (q *Queue) State(ctx context.Context) State {
	s := State{Nodes: q.nodes.all(), Losses: q.Losses()}
	for _, p := range plans {
		s.Limit += q.opts.Size / 100 * p.percent
	}
	q.mu.Lock()
	s.Incarnation = q.incarnation
	q.mu.Unlock()
	if err := q.Ready(); err != nil {
		s.Reason = err.Error()
	}
	if q.settled() != nil {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	calls, _, err := q.outstanding(ctx)
	if err != nil {
		s.Reason = err.Error()
		return s
	}
	s.Reachable, s.Calls = true, calls
	lister := q.js.ListStreams(ctx)
	for info := range lister.Info() {
		s.Used += int64(info.State.Bytes)
		if info.Config.Name == streamOf[BucketDead] {
			s.Dead = info.State.Msgs
		}
	}
	if err := lister.Err(); err != nil {
		s.Reachable, s.Reason = false, err.Error()
	}
	return s
}

// nodeTable is what was last heard of each node.
type nodeTable struct {
	mu    sync.Mutex
	nodes map[string]heardNode
}

type heardNode struct {
	node.Announcement
	at time.Time
}

// maxNodes bounds the table: three are ever there.
const maxNodes = 16

// heard takes in what a node tells of itself.
func (t *nodeTable) heard(a node.Announcement) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nodes == nil {
		t.nodes = map[string]heardNode{}
	}
	if _, known := t.nodes[a.Name]; known || len(t.nodes) < maxNodes {
		t.nodes[a.Name] = heardNode{a, time.Now()}
	}
}

// room returns ErrFull when a node's disk has too little room for new work.
// Where the disk is larger than the volume was said to be, what is left of the
// volume's share counts and not what others have on that disk.
func (t *nodeTable) room() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.nodes {
		if time.Since(n.at) > nodeLost || n.Total == 0 {
			continue
		}
		if size := min(n.Size, n.Total); n.Free < size/100*(100-fullPercent) {
			return fmt.Errorf("%w: the disk of node %s has only %d MiB left", ErrFull, n.Name, n.Free>>20)
		}
	}
	return nil
}

func (t *nodeTable) all() []NodeState {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []NodeState
	for _, n := range t.nodes {
		s := NodeState{Name: n.Name, Reason: n.Reason, Free: n.Free, Total: n.Total}
		if away := time.Since(n.at); away > nodeLost {
			s.Reason = fmt.Sprintf("not heard of for %s", away.Round(time.Second))
		}
		s.Ready = s.Reason == ""
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b NodeState) int { return strings.Compare(a.Name, b.Name) })
	return all
}
