package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/constellation-serving/constellation/internal/install/fault"
	"github.com/constellation-serving/constellation/internal/install/progress"
	"github.com/constellation-serving/constellation/internal/kube/cluster"
	"github.com/constellation-serving/constellation/internal/kube/health"
	"github.com/constellation-serving/constellation/internal/kube/render"
	"github.com/constellation-serving/constellation/internal/satellite/operate"
)

// Rescue is what is left of a queue with two disks gone, and what may be lost of it.
type Rescue struct {
	From  operate.Disk `json:"from"`  // the one node that has something
	Empty []string     `json:"empty"` // nodes that are filled from it
	// Noted is what the engines last noted of the queue, outside of it; nil where
	// that cannot be read.
	Noted *health.Queue `json:"noted,omitempty"`
	// Missing is how many messages the engines had seen stored that this disk
	// lacks, whether they have ended or not. What was stored after they noted it is
	// not in it.
	Missing uint64 `json:"missing"`
	Done    bool   `json:"done"`
}

// callsStream is the stream of calls on a node's disk.
const callsStream = "work"

// Calls returns what the disk that is left has of calls that wait or ran.
func (r *Rescue) Calls() operate.DiskStream { return r.stream(callsStream) }

// Records returns what it has beside these: results, batches, dead letters, and
// large inputs and outputs.
func (r *Rescue) Records() (n uint64) {
	for _, s := range r.From.Streams {
		if s.Name != callsStream {
			n += s.Messages
		}
	}
	return n
}

func (r *Rescue) stream(name string) operate.DiskStream {
	for _, s := range r.From.Streams {
		if s.Name == name {
			return s
		}
	}
	return operate.DiskStream{}
}

// queueNodes is how many nodes a queue has that can lose two.
const queueNodes = 3

// PlanRescue returns what a rescue would do, or why there is nothing to rescue.
func PlanRescue(disks []operate.Disk, noted *health.Queue) (*Rescue, error) {
	r := &Rescue{Noted: noted}
	whole := 0
	for _, d := range disks {
		if !d.Complete {
			r.Empty = append(r.Empty, d.Node)
			continue
		}
		whole++
		r.From = d
	}
	switch {
	case whole > 1:
		return nil, fault.Errorf(fault.CodeFailed, "nothing is to be rescued: %d of %d nodes have what was accepted, and fill the others by themselves ('queue status' says what they wait for)", whole, len(disks))
	case whole == 0:
		return nil, fault.Errorf(fault.CodeFailed, "nothing is left to rescue: none of %d nodes has anything on its disk; the queue begins anew by itself, and tells how many calls are lost", len(disks))
	case !r.From.Running:
		return nil, fault.Errorf(fault.CodeFailed, "node %s has the only disk that is left, and does not run: %s", r.From.Node, r.From.Reason)
	}
	if last := r.Calls().Last; noted != nil && noted.LastSeq > last {
		r.Missing = noted.LastSeq - last
	}
	return r, nil
}

// Nodes are the nodes of a launch's queue, each reached through its pod.
type Nodes []*Client

// OpenNodes reaches every node of a launch's queue: those too that wait because
// their disks are empty. Close ends it.
func OpenNodes(ctx context.Context, c *cluster.Cluster, launchID, token string) (Nodes, error) {
	pods, err := podsOf(ctx, c, launchID, render.QueueName)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, &fault.Error{Code: fault.CodeFailed, Message: fmt.Sprintf("no queue node of this launch runs in namespace %s", c.Namespace),
			Next: "→ 'status' says what runs; where the engine is the queue's one node (stage.profile=edge) its disk is all there is, and 'queue restore' brings a backup back"}
	}
	var nodes Nodes
	for i := range queueNodes {
		name := fmt.Sprintf("%s-%d", render.QueueName, i)
		at := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Name == name })
		err := errors.New("its pod does not run")
		var q *Client
		if at >= 0 {
			q, err = openBy(ctx, c, &pods[at], healthPortName, token)
		}
		if errors.Is(err, cluster.ErrNoForward) {
			nodes.Close()
			return nil, noWay(err)
		}
		if err != nil {
			nodes.Close()
			return nil, notReached(c.Namespace, name, err)
		}
		nodes = append(nodes, q)
	}
	return nodes, nil
}

func notReached(namespace, name string, err error) error {
	return &fault.Error{Code: fault.CodeFailed, Message: fmt.Sprintf("node %s is not reached, and it may have what the others lack", name), Err: err,
		Next: fmt.Sprintf("→ bring it back; if its disk is gone for good, give it an empty one and try again: kubectl -n %s delete pvc/data-%s pod/%s", namespace, name, name)}
}

// Close ends what OpenNodes began.
func (n Nodes) Close() {
	for _, q := range n {
		q.Close()
	}
}

// Disks returns what each node has on its disk.
func (n Nodes) Disks(ctx context.Context) ([]operate.Disk, error) {
	disks := make([]operate.Disk, len(n))
	for i, q := range n {
		var err error
		if disks[i], err = q.Disk(ctx); err != nil {
			return nil, Explain(err)
		}
	}
	return disks, nil
}

// Rescue has the empty nodes filled from the one that has something. They go on
// with it by themselves once each was told.
func (n Nodes) Rescue(ctx context.Context, r *Rescue) error {
	disks, err := n.Disks(ctx)
	if err != nil {
		return err
	}
	for i, d := range disks {
		if !slices.Contains(r.Empty, d.Node) {
			continue
		}
		if _, err := n[i].Rescue(ctx, r.From.Node); err != nil {
			return Explain(err)
		}
	}
	return nil
}

// watchEvery is how often the nodes are asked how far they are.
const watchEvery = time.Second

// AwaitFilled waits until every node has everything, and reports what each waits
// for. open reaches them, again after one of them was away.
func AwaitFilled(ctx context.Context, open func(context.Context) (Nodes, error), report *progress.Reporter) error {
	said := ""
	var nodes Nodes
	defer func() { nodes.Close() }()
	for {
		state, err := "", error(nil)
		if nodes == nil {
			nodes, err = open(ctx)
		}
		var disks []operate.Disk
		if err == nil {
			disks, err = nodes.Disks(ctx)
		}
		if err != nil {
			nodes.Close()
			nodes, state = nil, err.Error()
		}
		for _, d := range disks {
			if !d.Complete || d.Reason != "" {
				state += fmt.Sprintf("\n%s: %s", d.Node, orFilling(d.Reason))
			}
		}
		if state == "" {
			return nil
		}
		if state != said {
			report.Line("waiting for %s", strings.TrimPrefix(state, "\n"))
			said = state
		}
		select {
		case <-ctx.Done():
			return &fault.Error{Code: fault.CodeTimeout, Message: "the nodes are not all filled yet: " + strings.TrimPrefix(said, "\n"),
				Next: "→ they go on by themselves; 'queue status' says how far they are"}
		case <-time.After(watchEvery):
		}
	}
}

func orFilling(reason string) string {
	if reason == "" {
		return "it is being filled"
	}
	return reason
}
